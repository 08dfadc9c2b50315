"""What `explain` prints: the ledger of a bundle's rewriters, and what its precision leaves in fp32."""

from __future__ import annotations

from rich.console import Console

from compiler.report.numbers import error_text
from compiler.report.report import Reduced, Report
from compiler.report.text import shown, speed_lines
from rewriters import Entry

PLACES = 3
INDENT = " " * 11


def print_ledger(screen: Console, report: Report) -> None:
    """Print what each rewriter did, and the nodes that a lower precision leaves as they are."""
    screen.print(f"[bold]{shown(report.model)}[/]  {shown(report.name)}")
    for entry in report.ledger:
        screen.print(_described(entry), soft_wrap=True, highlight=False)
    if report.reduced:
        for line in _precision(report.reduced):
            screen.print(line, soft_wrap=True, highlight=False)
    for line in speed_lines(report.speed, report.tried):
        screen.print(line, soft_wrap=True, highlight=False)


def _described(entry: Entry) -> str:
    effect = "" if entry.max_absolute_error is None else f", max abs error {error_text(entry.max_absolute_error)}"
    place = f"because {entry.reason}" if entry.status == "skipped" else f"at {_places(entry)}"
    return (
        f"\n{_verdict(entry)}[bold]{shown(entry.name)}[/]: {shown(f'{entry.kind} rewriter, {entry.contract}')}{effect}"
        f"\n{INDENT}[dim]{shown(entry.why)}[/]\n{INDENT}{shown(place)}"
    )


def _precision(reduced: Reduced) -> list[str]:
    excluded = [f"{one['operator']} {one['node']}: {one['why']}" for one in reduced.excluded]
    head = f"\nprecision  [bold]{shown(reduced.precision)}[/]: {shown(reduced.changed)} of {shown(reduced.nodes)} nodes"
    return [head, *(f"{INDENT}{shown(one)}" for one in excluded)]


def _verdict(entry: Entry) -> str:
    text = (
        "broken" if entry.holds is False else f"fired {shown(entry.times)}x" if entry.status == "fired" else "skipped"
    )
    colour = "red" if entry.holds is False else "green" if entry.status == "fired" else "dim"
    return f"[{colour}]{text:{len(INDENT)}}[/]"


def _places(entry: Entry) -> str:
    more = len(entry.where) - PLACES
    return ", ".join(entry.where[:PLACES]) + (f", and {more} more" if more > 0 else "")
