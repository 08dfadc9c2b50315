"""How raw tensors are proven: on the arrays that are given, or on noise."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.numerics import absolute_errors
from compiler.proof.task_proof import TaskProof
from compiler.tasks import Sample
from compiler.tasks.arrays.files import Arrays
from compiler.tasks.arrays.spec import BATCH, InputSpec
from compiler.tasks.arrays.task import NamedArray, PreparedArrays, RawTensors

if TYPE_CHECKING:
    from compiler.config.sizes import Size

JITTER = 0.1
"""Of the noise that tells items apart, in deviations of an item."""


@dataclass(frozen=True)
class RawTensorsProof(TaskProof[Arrays, PreparedArrays, NamedArray]):
    """Whole outputs, compared number by number."""

    unit: ClassVar[str] = "abs"
    things: ClassVar[str] = "outputs"

    task: RawTensors

    def samples(self, sample: Sample[Arrays], count: int, size: Size) -> PreparedArrays:
        """Items that are given, and variations of them; or noise."""
        given, lengths = sample.source, dict(zip(self.task.sides, size, strict=True))
        return PreparedArrays(
            {
                spec.name: repeated(given[spec.name], spec, count, lengths)
                if given
                else spec.random_items(count, lengths)
                for spec in self.task.specs
            }
        )

    def other_samples(self, sample: Sample[Arrays], count: int, size: Size) -> Tensors:
        """See `TaskProof`: items may be counted by any axis."""
        more = self.samples(sample, count + 1, size).tensors
        return {spec.name: _others(more[spec.name], spec, count) for spec in self.task.specs}

    def caution(self, sample: Sample[Arrays]) -> str:
        """Noise is no real input, and how large numbers become in it says nothing of what the network will be given."""
        guessed = [spec for spec in self.task.specs if spec.is_range_guessed]
        if sample.source or not guessed:
            return ""
        first = guessed[0]
        return (
            "no input is given: what the proof is made on, and what fp16 and int8 are fitted to, is NOISE in "
            f"{named(guessed)}, and says nothing of larger numbers. Give real arrays, input=<file>.npz, or say what an "
            "input holds: "
            f"model.inputs.{first.name}={first.text}:0-255"
        )

    def difference(self, a: Sequence[NamedArray], b: Sequence[NamedArray]) -> float:
        """The largest absolute difference between two numbers in the same place."""
        if [(one.name, one.array.shape) for one in a] != [(other.name, other.array.shape) for other in b]:
            return float("inf")
        errors = [
            absolute_errors(one.array.astype(np.float64), other.array.astype(np.float64))
            for one, other in zip(a, b, strict=True)
        ]
        largest = max((float(error.max(initial=0.0)) for error in errors), default=0.0)
        return largest if np.isfinite(largest) else float("inf")


def named(specs: Sequence[InputSpec]) -> str:
    """The names of inputs, in a sentence."""
    return " and ".join(spec.name for spec in specs)


def repeated(
    array: NDArray[Any], spec: InputSpec, count: int, lengths: Mapping[str, int] | None = None
) -> NDArray[Any]:
    """`count` items out of those given: first as they are, then with a little noise, or rolled if whole.

    Along an axis of another length than it is to have, what is given is cut, or begins again.
    """
    place = spec.items_axis
    for position, length in enumerate(spec.sizes(count, lengths or {})):
        if position != place and length != array.shape[position]:
            array = np.take(array, np.arange(length) % array.shape[position], axis=position)
    if place is None:
        return array
    given = np.moveaxis(array, place, 0)
    items = [given[index % len(given)] for index in range(count)]
    varied = [item if index < len(given) else _varied(item, spec, index) for index, item in enumerate(items)]
    return np.stack(varied, axis=place)


def _others(array: NDArray[Any], spec: InputSpec, count: int) -> NDArray[Any]:
    """All items but the first; an input in which several axes count them is cut to `count`."""
    if spec.items_axis is not None:
        return np.take(array, np.arange(1, count + 1), axis=spec.items_axis)
    return array[tuple(slice(1, None) if axis == BATCH else slice(None) for axis in spec.shape)]


def _varied(item: NDArray[Any], spec: InputSpec, index: int) -> NDArray[Any]:
    if item.dtype.kind != "f":
        return np.roll(item, index)
    noise = np.random.default_rng([zlib.crc32(spec.name.encode()), index]).standard_normal(item.shape)
    finite = item[np.isfinite(item)]  # a mask may hold infinities, which stay what they are
    deviation = float(finite.std()) if finite.size else 0.0
    return np.asarray(item + JITTER * (deviation or 1.0) * noise, item.dtype)
