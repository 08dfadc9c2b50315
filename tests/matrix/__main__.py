"""Compile every model for every backend, and write what came out: `make matrix`, or `python -m tests.matrix`.

A cell that has a result is not compiled again, so that what was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.matrix.child import Limits, bundle_folder, run_cell
from tests.matrix.grid import COLUMNS, MODELS, Cell, cells
from tests.matrix.page import write_page
from tests.matrix.results import NONE, Result, add_result, read_results

FOLDER = REPOSITORY / "outputs/matrix"


def main(words: Sequence[str] | None = None) -> None:
    """Run what is asked for, and write the page."""
    given = _arguments().parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # and what it has started with it
    if not given.write:
        chosen = list(cells(given.models, given.backends))
        _run(chosen if given.again else _missing(chosen), given.minutes, Limits(given.seconds))
    write_page()


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.matrix", description=__doc__)
    add = parser.add_argument
    add(
        "--models",
        nargs="+",
        default=(),
        choices=[model.family for model in MODELS],
        metavar="MODEL",
        help="in this order",
    )
    add("--backends", nargs="+", default=(), choices=[column.backend for column in COLUMNS], metavar="BACKEND")
    add("--minutes", type=float, default=float("inf"), help="begin no cell after as many")
    add("--seconds", type=float, default=Limits.seconds, help="of a processor that one cell may take")
    add("--again", action="store_true", help="compile again what has a result")
    add("--write", action="store_true", help="write the table of docs/backends.md anew, and compile nothing")
    return parser


def _missing(chosen: Sequence[Cell]) -> list[Cell]:
    known = read_results()
    return [cell for cell in chosen if cell not in known]


def _run(chosen: Sequence[Cell], minutes: float, limits: Limits) -> None:
    end = time.monotonic() + minutes * 60
    FOLDER.mkdir(parents=True, exist_ok=True)
    for number, cell in enumerate(chosen, 1):
        if time.monotonic() > end:
            break
        for one in _with_reference(cell, FOLDER):
            result = run_cell(one, FOLDER, limits)
            if one == cell:
                add_result(result)
                print(f"{number} of {len(chosen)}  {_told(result)}", flush=True)
            if one != one.reference:
                shutil.rmtree(bundle_folder(one, FOLDER), ignore_errors=True)


def _with_reference(cell: Cell, folder: Path) -> tuple[Cell, ...]:
    """A cell, and before it what it is timed beside, where that is not there any more."""
    is_there = cell == cell.reference or bundle_folder(cell.reference, folder).is_dir()
    return (cell,) if is_there else (cell.reference, cell)


def _told(result: Result) -> str:
    cell, attempt = result.cell, result.attempt
    error = "" if attempt.outcome == NONE or attempt.error is None else f", {attempt.error:.1e} {attempt.yardstick}"
    reason = f": {attempt.reason}" if attempt.reason else ""
    words = f"{cell.family} {cell.backend} {cell.shape} {cell.precision}"
    return f"{words}: {attempt.outcome}{error}, {result.seconds:.0f} s{reason}"


if __name__ == "__main__":
    main()
