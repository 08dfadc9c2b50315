"""What a lower precision gains: its engine and one in fp32, in turns, on this machine."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import ClassVar

from compiler.artifact import Engine, read_json, write_json
from compiler.artifact.machine import processor_features
from compiler.backends import Backend
from compiler.graphs.runtime import sums_saturate
from compiler.report.speed import Speed
from compiler.sources import Samples
from compiler.stages.stage import Artifact, Stage

SPEED_FILE = "speed.json"
FEWEST_TURNS, MOST_TURNS = 3, 100
SECONDS = 1.0
"""After which no further turn begins."""


@dataclass(frozen=True)
class MeasureSpeed(Stage):
    """The time of an engine in a lower precision beside that of the same network in fp32.

    Attributes:
        engine: In the lower precision.
        in_fp32: The other.
        precision: The lower one.
        backend: Opens both.
        usual: What they are run on.
        machine: That they are run on: another one is as fast as it is.
    """

    NAME: ClassVar[str] = "speed"

    engine: Artifact
    in_fp32: Artifact
    precision: str
    backend: Backend
    usual: Samples
    machine: Mapping[str, str]

    def run(self, folder: Path) -> str:
        """Write what each takes."""
        backend = self.backend.beside_others()
        sessions = [backend.open(Engine.load(one.folder)) for one in (self.engine, self.in_fp32)]
        tensors = self.usual.tensors
        lower, full = fastest_in_turns([partial(one.run, tensors) for one in sessions])
        speed = Speed(self.precision, lower * 1000, full * 1000, machine_in_words())
        write_json(folder / SPEED_FILE, {"version": 1, **asdict(speed)})
        return str(speed)


def read_speed(folder: Path) -> Speed:
    """What `MeasureSpeed` wrote."""
    values = read_json(folder / SPEED_FILE)
    del values["version"]
    return Speed(**values)


def fastest_in_turns(
    runs: Sequence[Callable[[], object]], clock: Callable[[], float] = perf_counter
) -> tuple[float, ...]:
    """The shortest time of each of several calls that take turns, in seconds, each called once before.

    What else happens on a machine only adds to times, so the shortest says most.
    """
    for run in runs:
        run()
    times: list[list[float]] = [[] for _ in runs]
    begin = clock()
    for turn in range(MOST_TURNS):
        if turn >= FEWEST_TURNS and clock() - begin > SECONDS:
            break
        for run, taken in zip(runs, times, strict=True):
            start = clock()
            run()
            taken.append(clock() - start)
    return tuple(map(min, times))


def machine_in_words() -> str:
    """What of this processor decides how fast a precision is."""
    features = processor_features()
    if "AVX2" in features:
        return f"{'AVX-512' if 'AVX512F' in features else 'AVX2'} {'without' if sums_saturate() else 'with'} VNNI"
    if "ASIMD" in features:
        return f"{platform.machine()} {'with' if 'ASIMDDP' in features else 'without'} dot products"
    return platform.machine()
