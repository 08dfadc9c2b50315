"""Measure bundles in turns, each in a process of its own."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from compiler.artifact.machine import this_machine
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.config.sizes import Size
from compiler.errors import UsageError
from compiler.profiling.processes import Worker, worker_for
from compiler.profiling.request import Request
from compiler.profiling.results import BundleProfile, Profile, Step, Timing, compared, steps_of
from compiler.profiling.subject import Opened

StrPath = str | PathLike[str]

ROUNDS = 10
"""In which the runs are taken: between two of them the other bundles have their turn."""
SETTLING = 0.05
"""Seconds of runs at the beginning of a turn that do not count, where there are several bundles."""
LAYER_RUNS = 20
"""That the times of layers are the mean of; fewer where fewer iterations are asked for."""
MOST = 10**6
"""Iterations: each is kept."""


@dataclass(frozen=True)
class Progress:
    """Where measuring an engine stands.

    Attributes:
        label: Of the bundle.
        backend: What runs it.
        timing: What was measured of it until now, at one input.
    """

    label: str
    backend: str
    timing: Timing


def profile(
    bundles: StrPath | Sequence[StrPath],
    sources: StrPath | Sequence[StrPath] = (),
    *,
    shapes: Sequence[Size] = (),
    batches: Sequence[int] = (),
    iterations: int = 200,
    warmup: int = 50,
    threads: int | None = None,
    modules: Collection[str] = (),
    engine_code: bool = False,
    trust_changes: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    report: Callable[[Progress], None] | None = None,
) -> Profile:
    """Measure what bundles take: their engines, each step from a file to results, their layers, and their memory.

    Args:
        bundles: A folder that a compile left behind, or several, which are measured in turns and compared.
        sources: Files of what the task looks at, or folders of such; nothing for the task's own sample.
        shapes: Of the engine's input, height x width; nothing for the one that each engine is best at.
        batches: Likewise. Every batch is measured at every shape.
        iterations: Runs that count, at each input; and files that go from the disk to results.
        warmup: Runs before them that do not.
        threads: That an engine may use; None for as many as it was compiled with.
        modules: See `compiler.runtime.open`.
        engine_code: See `compiler.runtime.open`.
        trust_changes: See `compiler.runtime.open`.
        limits: See `compiler.runtime.open`.
        report: Told of every round.

    Raises:
        CompileError: A bundle cannot be opened or run, or does not take what it is asked to.
    """
    folders, files = _listed(bundles), _listed(sources)
    if not folders:
        raise UsageError("there is no bundle to measure", where="bundles", fix="name the folder that a compile printed")
    _require_counts(iterations, warmup)
    requests = [
        Request(
            folder,
            sources=files,
            shapes=tuple(shapes),
            batches=tuple(batches),
            threads=threads,
            modules=tuple(modules),
            engine_code=engine_code,
            trust_changes=trust_changes,
            limits=limits,
        )
        for folder in folders
    ]
    with ExitStack() as stack:
        opened = [
            OpenBundle.open(label, request, stack) for label, request in zip(labels_of(folders), requests, strict=True)
        ]
        measured = _measured(opened, iterations, warmup, report or _unheard)
    return Profile(iterations, warmup, _machine(), measured, compared(measured))


@dataclass(frozen=True)
class OpenBundle:
    """A bundle that is open in a process of its own.

    Attributes:
        label: What it is called beside the others.
        request: What is measured of it.
        worker: The process.
        opened: What is known of the bundle.
    """

    label: str
    request: Request
    worker: Worker
    opened: Opened

    @classmethod
    def open(cls, label: str, request: Request, stack: ExitStack) -> OpenBundle:
        """Open it until the stack is left."""
        worker = stack.enter_context(worker_for(request))
        return cls(label, request, worker, worker.open())

    def profile(self, timings: Sequence[Timing], steps: tuple[Step, ...], layer_runs: int) -> BundleProfile:
        """What was measured of it; its memory is that without the layers, which are measured last."""
        state = self.worker.state()
        return BundleProfile(
            label=self.label,
            bundle=self.request.bundle,
            model=self.opened.model,
            backend=self.opened.backend,
            library=self.opened.library,
            threads=self.request.threads,
            load=self.opened.load,
            memory_before=self.opened.memory_before,
            memory=state.memory,
            timings=tuple(timings),
            steps=steps,
            layers=self.worker.layers(0, layer_runs),
            cautions=state.cautions,
        )


def _measured(
    bundles: Sequence[OpenBundle], iterations: int, warmup: int, report: Callable[[Progress], None]
) -> tuple[BundleProfile, ...]:
    """All that is measured, of one bundle after the other but for their engines, which are measured in turns."""
    inputs = range(len(bundles[0].opened.inputs))
    firsts = [[bundle.worker.first(index) for index in inputs] for bundle in bundles]
    # Before what takes long: a file that cannot be looked at is found here.
    steps = [steps_of(bundle.worker.steps(iterations, min(warmup, iterations))) for bundle in bundles]
    timings: list[list[Timing]] = [[] for _ in bundles]
    for index in inputs:
        started = [
            Timing(one.opened.inputs[index], first[index], ()) for one, first in zip(bundles, firsts, strict=True)
        ]
        for bundle in bundles:
            bundle.worker.first(index)
            bundle.worker.block(warmup)
        for position, timing in enumerate(in_turns(bundles, started, iterations, report)):
            timings[position].append(timing)
    runs = min(iterations, LAYER_RUNS)
    together = zip(bundles, timings, steps, strict=True)
    return tuple(bundle.profile(timed, taken, runs) for bundle, timed, taken in together)


def in_turns(
    bundles: Sequence[OpenBundle], started: Sequence[Timing], iterations: int, report: Callable[[Progress], None]
) -> list[Timing]:
    """The times of engines that take turns, every other round in the reverse order: what drifts meets all alike."""
    timings = list(started)
    settling = SETTLING if len(bundles) > 1 else 0.0
    for number, count in enumerate(block_sizes(iterations)):
        order = range(len(bundles))
        for position in order if number % 2 == 0 else reversed(order):
            bundle, timing = bundles[position], timings[position]
            block = bundle.worker.block(count, settling)
            timings[position] = replace(timing, rounds=(*timing.rounds, block))
            report(Progress(bundle.label, bundle.opened.backend, timings[position]))
    return timings


def block_sizes(iterations: int) -> list[int]:
    """How many runs there are in each round: as many rounds as can be, and as even."""
    rounds = min(ROUNDS, iterations)
    return [iterations * (number + 1) // rounds - iterations * number // rounds for number in range(rounds)]


def _listed(paths: StrPath | Sequence[StrPath]) -> tuple[str, ...]:
    """One path or several, as text."""
    return (str(paths),) if isinstance(paths, str | PathLike) else tuple(map(str, paths))


def labels_of(folders: Sequence[str]) -> list[str]:
    """What bundles are called: the names of their folders, or paths where two are alike; the same one is numbered."""
    names = [Path(folder).name for folder in folders]
    told = names if len(set(names)) == len(set(folders)) else list(folders)
    times = [told[:index].count(label) for index, label in enumerate(told)]
    return [f"{label} ({before + 1})" if before else label for label, before in zip(told, times, strict=True)]


def _require_counts(iterations: int, warmup: int) -> None:
    """Refuse numbers of runs that cannot be.

    Raises:
        UsageError: One cannot.
    """
    for name, value, least in (("iterations", iterations, 1), ("warmup", warmup, 0)):
        if not least <= value <= MOST:
            raise UsageError(f"{name} are from {least} to {MOST:,}", where=f"{name}={value}", fix="give such a number")


def _machine() -> dict[str, str]:
    """What the bundles ran on."""
    return {
        "processor": this_machine("numpy")["processor"],
        "cores": str(os.cpu_count() or "unknown"),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _unheard(progress: Progress) -> None:
    """Tell nobody."""
