"""What is spent before any work is done, in processor time: that does not depend on what else the machine does."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.table import Table

from compiler.config import compose
from tests.benchmarks.measure import timed_compile
from tests.conftest import NAME, PHOTOGRAPH, CommandLine

ROUNDS = 10
MODEL = "model=rtmpose-l"
COMPOSED = "from compiler.config import compose; compose(['{}'])"


def startup_table(command_line: CommandLine) -> Table:
    """Spend each in turns, as often as the others."""
    timed_compile(command_line, "+backend=onnxruntime", "+model=rtmpose")
    bundle = str(command_line.folder / "outputs/rtmpose" / NAME)
    compose([MODEL])
    spent: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, run in _runs(command_line, bundle).items():
            spent.setdefault(name, []).append(run())
    title = f"start-up: processor time (user and system), {ROUNDS} runs of each in turns"
    table = Table("what", "median ms", "least ms", title=title, title_justify="left")
    for name, seconds in spent.items():
        table.add_row(name, *(f"{number * 1000:.0f}" for number in (statistics.median(seconds), min(seconds))))
    return table


def _runs(command_line: CommandLine, bundle: str) -> Mapping[str, Callable[[], float]]:
    def command(*arguments: str) -> Callable[[], float]:
        return lambda: _of_children(lambda: command_line(*arguments))

    return {
        "python -c pass": lambda: _of_children(lambda: _python(command_line.folder, "pass")),
        "python -m compiler --help": command("--help"),
        "python -m compiler predict, RTMPose-m": command("predict", bundle, str(PHOTOGRAPH)),
        "compose, in a new process": lambda: _of_children(lambda: _python(command_line.folder, COMPOSED.format(MODEL))),
        "compose, in a warm process": lambda: _of_this_process(lambda: compose([MODEL])),
        "compose, with a setting beside the model": lambda: _of_this_process(
            lambda: compose([MODEL, "batch.largest=8"])
        ),
    }


def _python(folder: Path, code: str) -> None:
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


def _of_children(run: Callable[[], object]) -> float:
    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    run()
    return used() - before


def _of_this_process(run: Callable[[], object]) -> float:
    before = time.process_time()
    run()
    return time.process_time() - before
