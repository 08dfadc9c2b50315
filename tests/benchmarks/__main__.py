"""Print what a compile and a prediction cost: `make benchmark`, or `python -m tests.benchmarks`.

Any of `startup`, `rtmpose`, `models`, `compile`, `post`, `precision`, `rewriters`, `runtime` and `sharing` after it
names the tables to print. `python -m tests.benchmarks models rtmdet-tiny hrnet-w32` measures those two models only, and
so does `compile`.

Nothing here passes or fails. Speeds are compared within one run, on one machine, with the two sides taking turns; only
MMDeploy's figures are from another run, on a like machine.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.benchmarks.mmdeploy import MMDEPLOY
from tests.benchmarks.models import models_table
from tests.benchmarks.post import post_table
from tests.benchmarks.precision import precision_table
from tests.benchmarks.rewriters import rewriters_table
from tests.benchmarks.rtmpose import compile_table, runtime_table, start_table
from tests.benchmarks.runtime import print_runtime_tables
from tests.benchmarks.sharing import sharing_table
from tests.benchmarks.stages import MODELS, stages_table
from tests.benchmarks.startup import startup_table
from tests.conftest import NAME, CommandLine

TABLES = ("startup", "rtmpose", "models", "compile", "post", "precision", "rewriters", "runtime", "sharing")


def main(arguments: Sequence[str]) -> None:
    """Run the benchmarks that are named, or all, and print their tables."""
    models = tuple(dict.fromkeys([*MMDEPLOY, *MODELS]))
    names = [argument for argument in arguments if argument in models]
    unknown = set(arguments) - {*TABLES, *names}
    if unknown:
        there_are = f"{', '.join(TABLES)}, and of models {', '.join(models)}"
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {there_are}")
    console = Console(width=150)
    if "startup" in arguments or not arguments:
        _startup(console)
    if "rtmpose" in arguments or not arguments:
        _rtmpose(console)
    if "models" in arguments or not arguments:
        console.print(models_table([name for name in names if name in MMDEPLOY], console))  # all, where none is named
    if "compile" in arguments or not arguments:
        console.print(stages_table(names, console))
    if "post" in arguments or not arguments:
        console.print(post_table())
    if "precision" in arguments or not arguments:
        console.print(precision_table(console))
    if "rewriters" in arguments or not arguments:
        console.print(rewriters_table())
    if "runtime" in arguments or not arguments:
        print_runtime_tables(console)
    if "sharing" in arguments or not arguments:
        console.print(sharing_table())


def _startup(console: Console) -> None:
    with tempfile.TemporaryDirectory() as folder:
        console.print(startup_table(CommandLine(Path(folder))), "")


def _rtmpose(console: Console) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command_line = CommandLine(Path(folder))
        console.print(compile_table(command_line), "")
        console.print(start_table(command_line), "")
        bundle = Path(folder) / "outputs/rtmpose" / NAME
        console.print(runtime_table(bundle), "")


if __name__ == "__main__":
    main(sys.argv[1:])
