"""Text within what a terminal shows."""

from __future__ import annotations

from rich.markup import escape

from compiler.printable import on_one_line


def shown(text: object) -> str:
    """A text as a part of a line of ours, whatever is in it: no markup, no other line, nothing that acts or floods."""
    return escape(on_one_line(str(text)))
