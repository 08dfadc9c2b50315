"""No task at all: arrays go into the network as they are, and come out as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.errors import CompileError
from compiler.tasks import Sample, Task
from compiler.tasks.arrays.files import Arrays, read_arrays
from compiler.tasks.arrays.lengths import Lengths
from compiler.tasks.arrays.pictures import tiles
from compiler.tasks.arrays.spec import BATCH, ITEMS, InputSpec
from compiler.tasks.inputs import ARRAYS, InputKind

if TYPE_CHECKING:
    from os import PathLike

    from compiler.config.sizes import SizeRange
    from compiler.tasks.images import Image


@dataclass(frozen=True, eq=False)
class NamedArray:
    """One output of the network.

    Attributes:
        name: Of the output.
        array: All of it; the first axis counts items.
    """

    name: str
    array: NDArray[Any]

    def to_dict(self) -> dict[str, Any]:
        """What sums the array up: `name`, `shape`, `dtype`, and `smallest`, `largest`, `mean`, `deviation`,
        each None where it is not finite."""
        values = self.array.astype(np.float64)
        numbers = (values.min(), values.max(), values.mean(), values.std()) if values.size else (None,) * 4
        summary = dict(zip(("smallest", "largest", "mean", "deviation"), map(_json_number, numbers), strict=True))
        return {"name": self.name, "shape": list(self.array.shape), "dtype": str(self.array.dtype), **summary}


def _json_number(number: np.float64 | None) -> float | None:
    """A number as strict JSON can hold it: infinities and not-a-numbers are none."""
    return float(number) if number is not None and np.isfinite(number) else None


@dataclass(frozen=True, eq=False)
class PreparedArrays:
    """A network's inputs.

    Attributes:
        tensors: By name.
    """

    tensors: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class RawTensors(Task[Arrays, PreparedArrays, NamedArray]):
    """What any network does: tensors in, tensors out.

    Attributes:
        shapes: The arguments of the network's forward, in order, and what each is: see `InputSpec.parse`.
        outputs: Names of the network's outputs, in order; found by running it where there is none.
        counted: Whether the first axis of every output counts items.
        axis_lengths: How long the axes are that `shapes` names, as `Lengths.parse` reads it.

    Raises:
        ValueError: There is no input, or one is not written as `InputSpec.parse` reads it, or it is not said how long
            an axis is.
    """

    name: ClassVar[str] = "tensors"
    proof: ClassVar[str] = "compiler.proof.arrays:RawTensorsProof"
    looks_at: ClassVar[InputKind] = ARRAYS

    shapes: dict[str, str]
    outputs: tuple[str, ...] = ()
    counted: bool = True
    axis_lengths: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.shapes:
            raise ValueError(
                "there are no inputs: name each argument of forward, for example model.inputs.x=1x3x224x224"
            )
        _ = self.specs, self.batch_lengths

    @cached_property
    def specs(self) -> tuple[InputSpec, ...]:
        """The inputs, taken apart; what has one length only is a number."""
        return tuple(spec.with_lengths(self._lengths) for spec in self._written)

    @cached_property
    def varying(self) -> Mapping[str, Lengths]:
        """The axes that vary beside the number of items, in the order in which they are met."""
        return {axis: lengths for axis, lengths in self._lengths.items() if lengths.varies}

    @cached_property
    def batch_lengths(self) -> Lengths | None:
        """How many items there may be, where the inputs say so themselves."""
        said = {f"axes.{axis}": lengths for axis, lengths in self._given.items() if axis in ITEMS}
        said |= {spec.name: spec.ranges[BATCH] for spec in self._written if BATCH in spec.ranges}
        if len(set(said.values())) > 1:
            listed = ", ".join(f"{name} has {lengths}" for name, lengths in said.items())
            raise ValueError(f"the number of items differs: {listed}; where a first axis is something else, name it")
        return next(iter(said.values()), None)

    @property
    def sides(self) -> tuple[str, ...]:  # type: ignore[override]
        """See `Task.sides`: the axes that vary beside the number of items."""
        return tuple(self.varying)

    @property
    def axes(self) -> Mapping[str, Mapping[int, str]]:  # type: ignore[override]
        """See `Task.axes`."""
        return {spec.name: spec.axes for spec in self.specs}

    @cached_property
    def _written(self) -> tuple[InputSpec, ...]:
        return tuple(InputSpec.parse(name, text) for name, text in self.shapes.items())

    @cached_property
    def _given(self) -> Mapping[str, Lengths]:
        return {axis: Lengths.parse(str(text)) for axis, text in self.axis_lengths.items()}

    @cached_property
    def _lengths(self) -> Mapping[str, Lengths]:
        """The lengths of every axis that has a name, but for the number of items."""
        given = {axis: lengths for axis, lengths in self._given.items() if axis not in ITEMS}
        beside = {axis: lengths for spec in self._written for axis, lengths in spec.ranges.items()}
        named = {axis: spec.name for spec in self._written for axis in spec.axes.values() if axis != BATCH}
        for axis, lengths in given.items():
            if axis not in named:
                raise ValueError(f"no input has an axis {axis!r}, as axes.{axis}={lengths} says")
        known = {**beside, **given}
        for axis, name in named.items():
            if axis not in known:
                raise ValueError(f"how long the axis {axis} of inputs.{name} is: say it, as model.axes.{axis}=16-128")
        return {axis: known[axis] for axis in named}

    @property
    def usual_lengths(self) -> Mapping[str, int]:
        """The usual length of each axis that varies."""
        return {axis: lengths.usual for axis, lengths in self.varying.items()}

    @property
    def batched(self) -> bool:
        """Whether a batch can be taken apart, and its results put together again."""
        return self.counted and all(spec.batched for spec in self.specs)

    def read(
        self, source: str | PathLike[str] | NDArray[Any] | Arrays, box: Any = None, limits: Limits = DEFAULT_LIMITS
    ) -> Sample[Arrays]:
        """The inputs; see `read_arrays`. Boxes are refused: arrays are no images."""
        if box is not None:
            raise CompileError("the model takes arrays as they are, not boxes", where=f"box {box}", fix="give no box")
        return Sample(read_arrays(source, self.specs, self.varying))

    def preprocess(self, sample: Sample[Arrays], sizes: SizeRange | None = None) -> PreparedArrays:
        """The arrays as they are; one item of noise where there are none."""
        given = sample.source
        usual = dict(zip(self.sides, sizes.usual, strict=True)) if sizes else self.usual_lengths
        return PreparedArrays(
            {spec.name: given[spec.name] if given else spec.random_items(1, usual) for spec in self.specs}
        )

    def decode(self, outputs: Tensors, prepared: PreparedArrays) -> list[NamedArray]:
        """The outputs, each with its name."""
        return [NamedArray(name, outputs[name]) for name in self.outputs]

    def draw(self, sample: Sample[Arrays], results: Sequence[NamedArray]) -> Image:
        """A grey tile for each output; see `tiles`."""
        return tiles({result.name: result.array for result in results})

    def sample_source(self) -> Path:
        """A file without arrays, which noise stands in for."""
        return Path(__file__).parent / "none.npz"
