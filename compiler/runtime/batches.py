"""Several samples through one engine: those whose inputs have the same shape share a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compiler.artifact import Tensors
from compiler.config.sizes import SizeRange
from compiler.spans import Span
from compiler.tasks import AnySample, AnyTask, Prepared


@dataclass(frozen=True, eq=False)
class Part:
    """What is prepared of a sample: all of it, or as many of its boxes as the engine is given at once.

    Attributes:
        sample: Which of all samples it is of.
        prepared: Ready for the network.
    """

    sample: int
    prepared: Prepared

    @property
    def count(self) -> int:
        """How many items it adds to a batch, where its first axes count them."""
        return len(next(iter(self.prepared.tensors.values())))

    @property
    def signature(self) -> tuple[Any, ...]:
        """What parts have in common that can share a batch: all of their inputs but how many items there are."""
        return tuple((name, one.shape[1:], one.dtype) for name, one in self.prepared.tensors.items())


def run_samples(
    task: AnyTask, run: Callable[[Tensors], Tensors], samples: Iterable[AnySample], sizes: SizeRange, batch: int
) -> list[list[Any]]:
    """The results of each sample, in order.

    Args:
        task: Prepares and decodes.
        run: Runs any number of items.
        samples: Taken one after the other: no more are in memory than share a batch.
        sizes: The sizes that the engine takes.
        batch: How many items the engine is given at once.
    """
    results: list[list[Any]] = []

    def parts() -> Iterator[Part]:
        for index, sample in enumerate(samples):
            results.append([])
            for part in sample.parts(batch):
                with Span("preprocess"):
                    prepared = task.preprocess(part, sizes)
                yield Part(index, prepared)

    for portion in _portions(parts(), batch) if task.batched else ([part] for part in parts()):
        for part, found in zip(portion, _decoded(task, run, portion), strict=True):
            results[part.sample].extend(found)
    return results


def _portions(parts: Iterable[Part], size: int) -> Iterator[list[Part]]:
    """As many parts at a time as fill a batch."""
    portion: list[Part] = []
    for part in parts:
        if portion and sum(one.count for one in portion) + part.count > size:
            yield portion
            portion = []
        portion.append(part)
    if portion:
        yield portion


def _decoded(task: AnyTask, run: Callable[[Tensors], Tensors], parts: Sequence[Part]) -> list[list[Any]]:
    """The results of each part."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, part in enumerate(parts):
        groups.setdefault(part.signature, []).append(place)
    found: dict[int, list[Any]] = {}
    for places in groups.values():
        together = [parts[place] for place in places]
        for place, outputs in zip(places, _run_together(run, together), strict=True):
            with Span("decode"):
                found[place] = task.decode(outputs, parts[place].prepared)
    return [found[place] for place in range(len(parts))]


def _run_together(run: Callable[[Tensors], Tensors], parts: Sequence[Part]) -> list[Tensors]:
    """The outputs for each of some parts of one signature."""
    if len(parts) == 1:
        return [run(parts[0].prepared.tensors)]
    tensors = [part.prepared.tensors for part in parts]
    outputs = run({name: np.concatenate([one[name] for one in tensors]) for name in tensors[0]})
    ends = np.cumsum([part.count for part in parts])[:-1]
    split = {name: np.split(output, ends) for name, output in outputs.items()}
    return [{name: pieces[place] for name, pieces in split.items()} for place in range(len(parts))]
