"""What each stage of a compile costs in processor seconds: in a new process, and once more in the same one."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compiler.config import compose
from compiler.events import Event, StageFinished, StageStarted
from compiler.pipeline import compile_bundle

MODELS = ("rtmpose-t", "hrnet-w32", "litehrnet-18", "yoloxpose-tiny", "rtmdet-tiny", "dbnet-r18")
STAGES = ("load", "export", "rewrite", "build", "compare", "verify")
START, REST = "start", "rest"
"""All before the first stage (imports, the config, what is read of the input), and all behind and between stages."""


@dataclass
class Clock:
    """What each part of a compile takes, in processor seconds and in seconds.

    Attributes:
        now: When the last part ended.
        parts: What was taken, by part.
    """

    now: tuple[float, float]
    parts: dict[str, tuple[float, float]] = field(default_factory=dict)

    def listen(self, event: Event) -> None:
        """End a part where a stage begins or ends."""
        if isinstance(event, StageStarted):
            self.end(REST if self.parts else START)
        elif isinstance(event, StageFinished):
            self.end(event.stage)

    def end(self, part: str) -> None:
        """Count what went by since the last part ended."""
        before, self.now = self.now, _clocks()
        known = self.parts.get(part, (0.0, 0.0))
        self.parts[part] = (known[0] + self.now[0] - before[0], known[1] + self.now[1] - before[1])


def stages_table(names: Sequence[str] = (), console: Console | None = None) -> Table:
    """Compile models for ONNX Runtime, static, in a process of their own, and again in that process.

    Args:
        names: Which; none for `MODELS`.
        console: Where to tell what is being measured.
    """
    title = "compiles from nothing, static, by stage: processor seconds (seconds); all of it in the last column"
    table = Table("model", "process", *(START, *STAGES, REST), "all", title=title, title_justify="left")
    for name in names or MODELS:
        if console:
            console.print(f"[dim]{name} ...[/dim]")
        table.add_section()
        try:
            for process, parts in zip(("new", "the same"), _measured(name), strict=True):
                table.add_row(name, process, *_cells(parts))
        except RuntimeError as error:  # the other models are worth their rows
            table.add_row(name, f"[red]{escape(str(error).strip().splitlines()[-1])}[/red]")
    return table


def _cells(parts: dict[str, tuple[float, float]]) -> Iterable[str]:
    whole = tuple(map(sum, zip(*parts.values(), strict=True)))
    for processor, seconds in (*(parts.get(part, (0.0, 0.0)) for part in (START, *STAGES, REST)), whole):
        yield f"{processor:.1f} ({seconds:.1f})"


def _measured(name: str) -> list[dict[str, tuple[float, float]]]:
    """The parts of a compile in a process of its own, and of another one behind it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks.stages", folder, f"model={name}", "shape=static"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(run.stdout + run.stderr)
    return [json.loads(line) for line in run.stdout.splitlines()]


def _clocks() -> tuple[float, float]:
    return time.process_time(), time.monotonic()


def _compile_twice(folder: Path, overrides: Sequence[str], began: tuple[float, float]) -> None:
    """Compile the same config into two folders, and print the parts of each as a line of JSON."""
    gc.disable()  # as the command line does
    for part in ("first", "second"):
        clock = Clock(began)
        compile_bundle(compose([*overrides, f"output={folder / part}"]), clock.listen)
        clock.end(REST)
        print(json.dumps(clock.parts))
        began = _clocks()


if __name__ == "__main__":
    # Processor time is counted from the start of the process, imports included; the other clock has no such zero.
    _compile_twice(Path(sys.argv[1]), sys.argv[2:], (0.0, time.monotonic() - time.process_time()))
