"""What a compile looks like in a terminal: live progress, then one table."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from compiler.errors import CompileError, ExitCode
from compiler.events import Event, Listener, RunStarted, StageFinished, StageProgressed, StageStarted, Waiting, Warned
from compiler.printable import printable, shortened
from compiler.proof import StageProof
from compiler.report.numbers import error_text, seconds_text
from compiler.report.outcome import Outcome
from compiler.report.text import shown, speed_lines

WIDTH_OF_FILES = 160
LONGEST_PRINT = 20_000
"""Characters of all that is printed at once, where no part of it was cut before."""


class Screen(Console):
    """A terminal that shows no text unless it is printable and of bearable length, those in tables too."""

    def render_str(self, text: str, **options: Any) -> Text:
        """A text with its markup applied."""
        return super().render_str(shortened(printable(text), LONGEST_PRINT), **options)


def console(stream: TextIO | None = None) -> Console:
    """The terminal, or another stream; text that goes to a file is not folded at 80 columns."""
    is_terminal = (stream or sys.stdout).isatty()
    return Screen(file=stream) if is_terminal else Screen(file=stream, width=WIDTH_OF_FILES)


@contextmanager
def progress(console: Console) -> Iterator[Listener]:
    """Show the running stage and its time, and leave a line for each that ended."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as live:
        running = live.add_task("starting")

        def listen(event: Event) -> None:
            match event:
                case RunStarted(model, name):
                    console.print(f"[bold]{shown(model)}[/]  {shown(name)}")
                case StageStarted(stage):
                    live.reset(running, description=stage)
                case StageProgressed(share, phase):
                    live.update(running, description=f"{share:4.0%}  {shown(phase)}")
                case StageFinished():
                    console.print(_stage_line(event))
                case Waiting(path):
                    live.reset(running, description="waiting")
                    console.print(f"  [yellow]waiting[/] for another process that is writing {shown(path)}")
                case Warned(message):
                    console.print(f"[bold yellow]warning:[/] {shown(message)}", soft_wrap=True)

        yield listen


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Print the proof, where to look, and the verdict."""
    if outcome.proofs:
        console.print(_proof_table(outcome.proofs, outcome.unit))
    if outcome.up_to_date:
        console.print("nothing to do: this bundle is up to date, every stage of it is unchanged")
    for line in speed_lines(outcome.speed, outcome.tried):
        console.print(line, soft_wrap=True, highlight=False)
    for label, path in outcome.places.items():
        console.print(f"  {label:9} {shown(path)}", soft_wrap=True)
    colour = "green" if outcome.exit_code == ExitCode.PROVEN else "red"
    said = outcome.verdict.removeprefix(outcome.headline)
    console.print(f"[bold {colour}]{outcome.headline}[/]{shown(said)}", soft_wrap=True)


def print_error(console: Console, error: CompileError) -> None:
    """Print what failed, where, why, and what to do."""
    console.print(Text.assemble(("error:", "bold red"), f" {error.summary}"), soft_wrap=True)


def _stage_line(event: StageFinished) -> str:
    time = f"[dim]cached ({seconds_text(event.seconds)})[/]" if event.cached else seconds_text(event.seconds)
    return f"  [green]✓[/] {event.stage:9} {time:>8}  {shown(event.detail)}"


def _proof_table(proofs: Sequence[StageProof], unit: str) -> Table:
    """A line for each stage, narrow enough for a terminal: the report has the rest."""
    table = Table(title="proof: worst of every output and input", title_justify="left", box=None, pad_edge=False)
    table.add_column("stage", overflow="fold")
    table.add_column("")
    table.add_column("against")
    for column in ("worst error", "RMS (σ)", "cosine", f"decoded ({shown(unit)})"):
        table.add_column(column, justify="right")
    for proof in proofs:
        worst = proof.worst
        verdict = "[red]beyond[/]" if not proof.within else "[yellow]lossy[/]" if proof.lossy else "[green]ok[/]"
        table.add_row(
            shown(proof.stage),
            verdict,
            shown(proof.reference),
            f"{error_text(worst.relative_error)} {shown(worst.yardstick)}",
            error_text(max(c.typical_error for c in proof.comparisons)),
            f"{min(c.cosine_similarity for c in proof.comparisons):.7f}",
            error_text(proof.worst_decoded),
        )
    return table
