"""The verb `explain`: which rewriters fired in a bundle, where and with what effect; which were skipped, and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from compiler.artifact import recover_folder
from compiler.errors import ExitCode, UsageError
from compiler.report import Report
from compiler.report.console import console
from compiler.report.numbers import error_text
from rewriters import Entry

USAGE = "python -m compiler explain <bundle>"
PLACES = 3


def run(arguments: Sequence[str]) -> int:
    """Print the ledger of a bundle."""
    if len(arguments) != 1:
        raise UsageError("explain takes one bundle", where="command line", fix=USAGE)
    bundle = Path(arguments[0])
    recover_folder(bundle)
    report = Report.load(bundle)
    screen = console()
    screen.print(f"[bold]{escape(report.model)}[/]  {escape(report.name)}")
    screen.print(_table(report.ledger))
    return ExitCode.PROVEN


def _table(ledger: Sequence[Entry]) -> Table:
    table = Table("rewriter", "kind", "", "where, or why not", "contract", "max abs error", box=None, pad_edge=False)
    for entry in ledger:
        error = "" if entry.max_absolute_error is None else error_text(entry.max_absolute_error)
        table.add_row(entry.name, entry.kind, _verdict(entry), escape(_places(entry)), entry.contract, error)
        table.add_row("", "", "", f"[dim]{escape(entry.why)}[/]", "", "")
    return table


def _verdict(entry: Entry) -> str:
    if entry.holds is False:
        return "[red]breaks its contract[/]"
    return f"[green]fired {entry.times}x[/]" if entry.status == "fired" else "[dim]skipped[/]"


def _places(entry: Entry) -> str:
    if entry.status == "skipped":
        return entry.reason
    more = len(entry.where) - PLACES
    return ", ".join(entry.where[:PLACES]) + (f", and {more} more" if more > 0 else "")
