"""What profiling finds out, typed, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from compiler.backends import LayerTime
from compiler.config.sizes import InputSize, size_text
from compiler.profiling.statistics import Spread, Statistics
from compiler.spans import SpanPath

VERSION = 1
"""Of the layout of the JSON file."""
MILLI = 1000


@dataclass(frozen=True)
class Timing:
    """One input's way through an engine, from arrays to arrays, again and again.

    Attributes:
        input: Its batch and its size.
        first: Seconds of the first run at this size.
        rounds: Seconds of every run that counts, by the round that it was in.
    """

    input: InputSize
    first: float
    rounds: tuple[tuple[float, ...], ...]

    @property
    def samples(self) -> tuple[float, ...]:
        """Seconds of every run that counts, one after the other."""
        return tuple(chain.from_iterable(self.rounds))

    @property
    def shape(self) -> str:
        """The size of the input, as deploy names write it."""
        return size_text(self.input.size)

    @property
    def statistics(self) -> Statistics:
        """What the samples come to."""
        return Statistics.of(self.samples)

    def per_second(self, seconds: float) -> float:
        """How many items of the batch a second are run, where one run takes this long: the FPS of images."""
        return self.input.batch / seconds

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form, in milliseconds."""
        figures = {name: value * MILLI for name, value in asdict(self.statistics).items() if name != "count"}
        return {
            "batch": self.input.batch,
            "shape": self.shape,
            "first_ms": self.first * MILLI,
            "latency_ms": figures,
            "fps": self.per_second(self.statistics.mean),
            "rounds_ms": [[one * MILLI for one in each] for each in self.rounds],
        }


@dataclass(frozen=True)
class Step:
    """One step from a file to results: see `compiler.spans`.

    Attributes:
        path: Its name, behind those of the steps that it is a part of.
        samples: Seconds of each call.
        share: Of the whole time.
        is_whole: Whether it has steps of its own.
    """

    path: SpanPath
    samples: tuple[float, ...]
    share: float
    is_whole: bool

    @property
    def statistics(self) -> Statistics:
        """What the samples come to."""
        return Statistics.of(self.samples)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form, in milliseconds."""
        samples = [one * MILLI for one in self.samples]
        return {"name": "/".join(self.path), "share": self.share, "calls": len(samples), "samples_ms": samples}


def steps_of(seconds: Mapping[SpanPath, Sequence[float]]) -> tuple[Step, ...]:
    """The steps in a record, as a tree in the order in which they were first taken."""
    whole = sum(sum(taken) for path, taken in seconds.items() if len(path) == 1)
    parents = {path[:-1] for path in seconds}
    return tuple(
        Step(path, tuple(seconds[path]), sum(seconds[path]) / whole, path in parents)
        for path in _as_tree(tuple(seconds))
    )


def _as_tree(paths: Sequence[SpanPath]) -> list[SpanPath]:
    """Paths with each behind what it is a part of: a part may be met when other steps have begun since."""
    order = {path: index for index, path in enumerate(paths)}
    return sorted(paths, key=lambda path: [order[path[: depth + 1]] for depth in range(len(path))])


@dataclass(frozen=True)
class BundleProfile:
    """What one bundle was measured to take.

    Attributes:
        label: What it is called beside the others.
        bundle: Its folder.
        model: The model's name.
        backend: What runs it.
        library: That backend's version.
        threads: That were asked for; None for what it was compiled with.
        load: Seconds from the folder to an open engine, in a process of its own, the backend's library included.
        memory_before: Bytes that the process had in memory at most before it opened the bundle; None if unknown.
        memory: Bytes that it had in memory at most in all; None where the system does not say.
        timings: Of the engine, by input.
        steps: From a file to results; nothing where there is no input.
        layers: What each layer of the engine takes at the first input; None where the backend does not say.
        cautions: What was cautioned of meanwhile.
    """

    label: str
    bundle: str
    model: str
    backend: str
    library: str
    threads: int | None
    load: float
    memory_before: int | None
    memory: int | None
    timings: tuple[Timing, ...]
    steps: tuple[Step, ...]
    layers: tuple[LayerTime, ...] | None
    cautions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form, in milliseconds and bytes."""
        plain = ("label", "bundle", "model", "backend", "library", "threads", "memory_before", "memory")
        layers = self.layers and [
            {"name": layer.name, "operator": layer.operator, "ms": layer.seconds * MILLI} for layer in self.layers
        ]
        return {
            **{name: getattr(self, name) for name in plain},
            "load_ms": self.load * MILLI,
            "timings": [timing.to_dict() for timing in self.timings],
            "steps": [step.to_dict() for step in self.steps],
            "layers": layers,
            "cautions": list(self.cautions),
        }


@dataclass(frozen=True)
class Comparison:
    """How long a bundle takes for each second of another, at one input.

    Attributes:
        label: Of the bundle.
        baseline: Of the one that it is compared with.
        ratios: The medians of each round, divided: they were measured right after each other.
    """

    label: str
    baseline: str
    ratios: tuple[float, ...]

    @property
    def spread(self) -> Spread:
        """The middle ratio, and the quartiles."""
        return Spread.of(self.ratios)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        return {**asdict(self), "ratio": asdict(self.spread)}


@dataclass(frozen=True)
class Profile:
    """What several bundles were measured to take, in turns.

    Attributes:
        iterations: Runs that count, at each input.
        warmup: Runs before them that do not.
        machine: What they ran on, by name.
        bundles: In the order in which they were given.
        comparisons: Of each with the first, by input.
    """

    iterations: int
    warmup: int
    machine: Mapping[str, str]
    bundles: tuple[BundleProfile, ...]
    comparisons: tuple[tuple[Comparison, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form, with every sample."""
        return {
            "version": VERSION,
            "iterations": self.iterations,
            "warmup": self.warmup,
            "machine": dict(self.machine),
            "bundles": [bundle.to_dict() for bundle in self.bundles],
            "comparisons": [[one.to_dict() for one in each] for each in self.comparisons],
        }


def compared(bundles: Sequence[BundleProfile]) -> tuple[tuple[Comparison, ...], ...]:
    """Every bundle compared with the first, for each input."""
    first, *others = bundles
    return tuple(
        tuple(Comparison(one.label, first.label, _ratios(one.timings[index], timing)) for one in others)
        for index, timing in enumerate(first.timings)
        if others
    )


def _ratios(timing: Timing, baseline: Timing) -> tuple[float, ...]:
    """A ratio for each round."""
    pairs = zip(timing.rounds, baseline.rounds, strict=True)
    return tuple(Statistics.of(one).median / Statistics.of(other).median for one, other in pairs)
