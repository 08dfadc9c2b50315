"""What `explain` prints: the ledger of a bundle's rewriters, and what its precision leaves in fp32."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from compiler.report.numbers import error_text
from compiler.report.report import Reduced, Report
from rewriters import Entry

PLACES = 3
INDENT = " " * 11


def print_ledger(screen: Console, report: Report) -> None:
    """Print what each rewriter did, and the nodes that a lower precision leaves as they are."""
    screen.print(f"[bold]{escape(report.model)}[/]  {escape(report.name)}")
    for entry in report.ledger:
        screen.print(_described(entry), soft_wrap=True, highlight=False)
    if report.reduced:
        screen.print(_precision(report.reduced), soft_wrap=True, highlight=False)


def _described(entry: Entry) -> str:
    effect = "" if entry.max_absolute_error is None else f", max abs error {error_text(entry.max_absolute_error)}"
    place = f"because {entry.reason}" if entry.status == "skipped" else f"at {_places(entry)}"
    return (
        f"\n{_verdict(entry)}[bold]{escape(entry.name)}[/]: {entry.kind} rewriter, {escape(entry.contract)}{effect}"
        f"\n{INDENT}[dim]{escape(entry.why)}[/]\n{INDENT}{escape(place)}"
    )


def _precision(reduced: Reduced) -> str:
    excluded = [f"{one['operator']} {one['node']}: {one['why']}" for one in reduced.excluded]
    lines = [f"[bold]{reduced.precision}[/]: {reduced.changed} of {reduced.nodes} nodes", *map(escape, excluded)]
    return "\nprecision  " + f"\n{INDENT}".join(lines)


def _verdict(entry: Entry) -> str:
    text = "broken" if entry.holds is False else f"fired {entry.times}x" if entry.status == "fired" else "skipped"
    colour = "red" if entry.holds is False else "green" if entry.status == "fired" else "dim"
    return f"[{colour}]{text:{len(INDENT)}}[/]"


def _places(entry: Entry) -> str:
    more = len(entry.where) - PLACES
    return ", ".join(entry.where[:PLACES]) + (f", and {more} more" if more > 0 else "")
