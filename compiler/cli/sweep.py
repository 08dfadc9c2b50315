"""Compile every combination of several choices, one after the other, into one table."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from compiler.api import compile_composed
from compiler.artifact import digest, write_json, write_text
from compiler.config.overrides import own_inputs, split_sweep
from compiler.errors import ExitCode, Interrupted, UsageError, as_compile_error, was_interrupted
from compiler.openmmlab.translated_model import composed
from compiler.pipeline.guards import writable
from compiler.printable import on_one_line
from compiler.report.console import console, print_error, print_outcome, progress
from compiler.report.numbers import error_text, seconds_text, size_text
from compiler.report.outcome import Outcome
from compiler.report.text import shown

HEADINGS = ("model", "deploy name", "result", "time", "engine", "error", "decoded", "why not")


@dataclass(frozen=True)
class Row:
    """One job of a sweep.

    Attributes:
        overrides: What sets the job apart.
        model: The model's name; empty where the config could not be composed.
        name: The deploy name; empty where the config could not be composed.
        result: `proven`, `not proven`, `failed` or `wrong usage`.
        exit_code: As the job alone would have ended.
        seconds: How long it took.
        engine_bytes: The engine's size.
        relative_error: Of the engine, or of the last stage before it where that was not run, in the yardstick.
        yardstick: What suits the worst output's numbers: see `compiler.numerics.Yardstick`.
        decoded: Of the same, in the task's unit.
        problem: Why it failed, or is not proven.
    """

    overrides: tuple[str, ...]
    model: str
    name: str
    result: str
    exit_code: int
    seconds: float
    engine_bytes: int | None = None
    relative_error: float | None = None
    yardstick: str = ""
    decoded: str = ""
    problem: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, under `HEADINGS`."""
        return (
            self.model,
            self.name or " ".join(self.overrides),
            self.result,
            seconds_text(self.seconds),
            "" if self.engine_bytes is None else size_text(self.engine_bytes),
            "" if self.relative_error is None else f"{error_text(self.relative_error)} {self.yardstick}",
            self.decoded,
            self.problem,
        )


RESULTS = {
    ExitCode.PROVEN: "proven",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "wrong usage",
    ExitCode.NOT_PROVEN: "not proven",
}


def sweep(overrides: Sequence[str], config_dir: Path | None = None) -> ExitCode:
    """Compile every combination; a job that fails does not stop the others.

    Args:
        overrides: In Hydra's grammar: a comma makes a sweep.
        config_dir: A config folder of the user's.

    Returns:
        Proven if all jobs are; failed if one failed; else not proven.

    Raises:
        UsageError: The overrides cannot be parsed.
    """
    jobs = split_sweep(overrides, config_dir)
    screen = console()
    rows: list[Row] = []
    output = Path(next((job.partition("=")[2] for job in jobs[0] if job.startswith("output=")), "outputs"))
    table = output / f"multirun-{digest(jobs)[:8]}"  # another sweep has a table of its own
    bundles: set[Path] = set()
    try:
        for number, (job, distinguishing) in enumerate(zip(jobs, own_inputs(jobs), strict=True), start=1):
            screen.print(f"\n[bold]job {number} of {len(jobs)}[/]")
            rows.append(_run_job(tuple(job), config_dir, screen, distinguishing, bundles))
            gc.collect()  # the command line runs without the cyclic collector
    finally:
        print_table(screen, rows)
        if len(rows) == len(jobs):  # a sweep that was interrupted leaves the table of a whole one alone
            _save(rows, table)
            screen.print(f"  table     {table}.md, {table}.json", soft_wrap=True)
    codes = {row.exit_code for row in rows}
    if codes & {ExitCode.FAILED, ExitCode.USAGE}:
        return ExitCode.FAILED
    return ExitCode.NOT_PROVEN if ExitCode.NOT_PROVEN in codes else ExitCode.PROVEN


def _run_job(
    overrides: tuple[str, ...],
    config_dir: Path | None,
    screen: Console,
    distinguishing: Sequence[str],
    bundles: set[Path],
) -> Row:
    """One job.

    Args:
        overrides: Of the job.
        config_dir: A config folder of the user's.
        screen: Told of it.
        distinguishing: What of the overrides gives it a name of its own in this sweep.
        bundles: Of the jobs before it, and then its own too.
    """
    start = time.perf_counter()
    model = name = ""
    try:
        config = composed(overrides, config_dir, distinguishing)
        model, name = config.model.name, str(config.deploy_name)
        _refuse_second(config.bundle, bundles)
        with progress(screen) as listen:
            outcome = compile_composed(config, overrides, lambda one: composed(one, config_dir, distinguishing), listen)
        print_outcome(screen, outcome)
        return _row(overrides, outcome, time.perf_counter() - start)
    except Exception as error:  # whatever goes wrong in one job, the others are still wanted
        if was_interrupted(error):
            raise Interrupted from error
        known = as_compile_error(error)
        print_error(screen, known)
        code = known.exit_code
        seconds = time.perf_counter() - start
        return Row(overrides, model, name, RESULTS[code], code, seconds, problem=known.what)


def _refuse_second(bundle: Path, bundles: set[Path]) -> None:
    if bundle in bundles:
        raise UsageError(
            "another job of this sweep has written the same bundle",
            where=str(bundle),
            why="they differ only in what a bundle is not named after, such as the folder of a config",
            fix="sweep over model.name or output too, or make a run of each",
        )
    bundles.add(bundle)


def _row(overrides: tuple[str, ...], outcome: Outcome, seconds: float) -> Row:
    engine = outcome.proofs[-1]
    return Row(
        overrides=overrides,
        model=outcome.model,
        name=outcome.name,
        result=RESULTS[outcome.exit_code],
        exit_code=outcome.exit_code,
        seconds=seconds,
        engine_bytes=outcome.engine_bytes,
        relative_error=engine.worst.relative_error,
        yardstick=engine.worst.yardstick,
        decoded=f"{error_text(engine.worst_decoded)} {outcome.unit}",
        problem=outcome.problem,
    )


def print_table(screen: Console, rows: Sequence[Row]) -> None:
    """Print the table, and below it why a job is not proven: in a column a long reason would cut the names short."""
    screen.print(_table(rows))
    for row in rows:
        if row.problem:
            screen.print(f"  [red]{row.result}[/] {shown(row.cells[1])}: {shown(row.problem)}", soft_wrap=True)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, title=f"{len(rows)} jobs", title_justify="left")
    for heading in HEADINGS[:-1]:
        table.add_column(heading, overflow="fold")
    colours = {"proven": "green", "not proven": "yellow"}
    for row in rows:
        cells = list(map(shown, row.cells[:-1]))
        cells[2] = f"[{colours.get(row.result, 'red')}]{row.result}[/]"
        table.add_row(*cells)
    return table


def _save(rows: Sequence[Row], table: Path) -> None:
    lines = [HEADINGS, ["---"] * len(HEADINGS), *(row.cells for row in rows)]
    text = "".join(f"| {' | '.join(on_one_line(cell).replace('|', '/') for cell in line)} |\n" for line in lines)
    with writable(table):
        write_json(table.with_name(f"{table.name}.json"), [asdict(row) for row in rows])
        write_text(table.with_name(f"{table.name}.md"), text)
