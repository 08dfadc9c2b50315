"""No task at all: arrays go into the network as they are, and come out as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from compiler.tasks.arrays.pictures import tiles
from compiler.tasks.arrays.spec import InputSpec
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

    Raises:
        ValueError: There is no input, or one is not written as `InputSpec.parse` reads it.
    """

    name: ClassVar[str] = "tensors"
    proof: ClassVar[str] = "compiler.proof.arrays:RawTensorsProof"
    looks_at: ClassVar[InputKind] = ARRAYS
    sides: ClassVar[tuple[str, ...]] = ()

    shapes: dict[str, str]
    outputs: tuple[str, ...] = ()
    counted: bool = True

    def __post_init__(self) -> None:
        if not self.shapes:
            raise ValueError(
                "there are no inputs: name each argument of forward, for example model.inputs.x=1x3x224x224"
            )
        _ = self.specs

    @cached_property
    def specs(self) -> tuple[InputSpec, ...]:
        """The inputs, taken apart."""
        return tuple(InputSpec.parse(name, text) for name, text in self.shapes.items())

    @property
    def axes(self) -> Mapping[str, Mapping[int, str]]:  # type: ignore[override]
        """See `Task.axes`: only the number of items can vary."""
        return {spec.name: {0: "batch"} if spec.batched else {} for spec in self.specs}

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
        return Sample(read_arrays(source, self.specs))

    def preprocess(self, sample: Sample[Arrays], sizes: SizeRange | None = None) -> PreparedArrays:
        """The arrays as they are; one item of noise where there are none."""
        given = sample.source
        return PreparedArrays({spec.name: given[spec.name] if given else spec.random_items(1) for spec in self.specs})

    def decode(self, outputs: Tensors, prepared: PreparedArrays) -> list[NamedArray]:
        """The outputs, each with its name."""
        return [NamedArray(name, outputs[name]) for name in self.outputs]

    def draw(self, sample: Sample[Arrays], results: Sequence[NamedArray]) -> Image:
        """A grey tile for each output; see `tiles`."""
        return tiles({result.name: result.array for result in results})

    def sample_source(self) -> Path:
        """A file without arrays, which noise stands in for."""
        return Path(__file__).parent / "none.npz"
