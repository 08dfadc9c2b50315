"""Text within what a terminal shows."""

from __future__ import annotations

from rich.markup import escape

from compiler.printable import on_one_line
from compiler.report.speed import Speed, Tried


def shown(text: object) -> str:
    """A text as a part of a line of ours, whatever is in it: no markup, no other line, nothing that acts or floods."""
    return escape(on_one_line(str(text)))


def speed_lines(speed: Speed | None, tried: tuple[Tried, ...]) -> list[str]:
    """What a terminal shows of it: what `precision=auto` tried, or what the precision gains."""
    if tried:
        return [f"  {'chosen' if one.chosen else 'tried':9} {shown(one)}" for one in tried]
    if speed is None:
        return []
    text = shown(speed)
    return [f"  speed     [yellow]{text}[/]" if speed.is_slower else f"  speed     {text}"]
