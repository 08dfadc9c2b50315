"""How far raw outputs are from those of a reference, and how far they may be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.numerics import Yardstick, difference
from compiler.proof.task_proof import AnyProof

USUAL_MARGIN = 0.1
"""What a lower precision may do to a score, where nothing else is said."""
_TEXTS = ("input", "output", "yardstick", "oddity")


@dataclass(frozen=True)
class Tolerance:
    """When a stage counts as proven.

    Attributes:
        relative: The largest absolute error, in the yardstick of the output; None for no limit.
        decoded: The largest difference after decoding, in the task's unit; None for what the task itself allows.
        cosine: The smallest cosine similarity, which sees no scale; None for no limit.
        typical: The root of the mean squared error, in standard deviations of the reference; None for no limit.
    """

    relative: float | None
    decoded: float | None = None
    cosine: float | None = None
    typical: float | None = None

    @property
    def margin(self) -> float:
        """What rounding in this precision may do to a score."""
        return USUAL_MARGIN if self.relative is None else self.relative

    def __str__(self) -> str:
        told = [
            None if self.relative is None else f"{self.relative:g} in the yardstick of an output",
            None if self.typical is None else f"{self.typical:g} σ RMS",
            None if self.cosine is None else f"a cosine of {self.cosine:g}",
            "decoded what the task allows" if self.decoded is None else f"decoded {self.decoded:g}",
        ]
        return ", ".join(filter(None, told))

    def is_looser_than(self, other: Tolerance) -> bool:
        """Whether something passes that is beyond another, which says what is allowed after decoding."""
        errors = [(self.relative, other.relative), (self.typical, other.typical)]
        looser = [_or_infinite(own) > _or_infinite(others) for own, others in errors]
        lower_cosine = other.cosine is not None and (self.cosine is None or self.cosine < other.cosine)
        more_decoded = self.decoded is not None and self.decoded > _or_infinite(other.decoded)
        return any(looser) or lower_cosine or more_decoded

    def holds(self, comparison: Comparison) -> bool:
        """Whether a raw output is within it."""
        return not any(self.faults(comparison))

    def faults(self, comparison: Comparison) -> Iterator[str]:
        """Yield what of a raw output is beyond it, in words."""
        near, typical = self.relative, _least(self.relative, self.typical)
        if near is not None and not comparison.relative_error <= near:
            yield f"{comparison.relative_error:.2g} {comparison.yardstick} where {near:g} is allowed"
        elif typical is not None and not comparison.typical_error <= typical:
            yield f"{comparison.typical_error:.2g} σ RMS where {typical:g} is allowed"
        if self.cosine is not None and not comparison.cosine_similarity >= self.cosine:
            yield f"a cosine of {comparison.cosine_similarity:.4f} where {self.cosine:g} is needed"


@dataclass(frozen=True)
class Comparison:
    """One output of one stage for one input, against the reference.

    Attributes:
        input: Batch and size of the input, such as `4x640x640`.
        output: As the task compares it.
        relative_error: The largest absolute error, in the yardstick.
        typical_error: The root of the mean squared error, in standard deviations of the reference.
        yardstick: What suits the reference's numbers: see `compiler.numerics.Yardstick`.
        size: The largest finite number of the reference, in magnitude.
        oddity: What is not finite, in words; empty where all is.
    """

    input: str
    output: str
    max_absolute_error: float
    mean_absolute_error: float
    relative_error: float
    cosine_similarity: float
    typical_error: float = 0.0
    yardstick: str = "σ"
    size: float = 1.0
    oddity: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Comparison:
        """Read what `dataclasses.asdict` and JSON made of it; JSON holds infinities and not-a-numbers as text."""
        # Before errors had yardsticks, less was written.
        held = {name: value for name, value in values.items() if name in cls.__dataclass_fields__}
        read: Any = {name: value if name in _TEXTS else float(value) for name, value in held.items()}
        return cls(**read)


def compare(reference: Tensors, found: Tensors, proof: AnyProof, size: str = "") -> list[Comparison]:
    """Compare every output; one of another shape counts as infinitely wrong."""
    if are_alike(reference, found):
        reference, found = proof.comparable(reference, reference), proof.comparable(found, reference)
    return [compare_arrays(name, reference[name], found.get(name), size) for name in reference]


def compare_arrays(
    name: str,
    reference: NDArray[Any],
    found: NDArray[Any] | None,
    size: str = "",
    yardstick: Yardstick | None = None,
) -> Comparison:
    """Compare one output, in the yardstick given or one that suits it; none, and another shape, is infinitely wrong."""
    if found is None or found.shape != reference.shape:
        return Comparison(size, name, math.inf, math.inf, math.inf, 0.0, math.inf)
    apart = difference(reference, found, yardstick)
    return Comparison(
        input=size,
        output=name,
        max_absolute_error=apart.largest,
        mean_absolute_error=apart.mean,
        relative_error=apart.relative,
        cosine_similarity=apart.cosine,
        typical_error=apart.typical,
        yardstick=apart.yardstick.name,
        size=apart.size,
        oddity=apart.oddity,
    )


def are_alike(reference: Tensors, found: Tensors) -> bool:
    """Whether a task can read both: the same names, numbers of items, and numbers of dimensions."""
    return all(
        name in found and found[name].ndim == tensor.ndim and found[name].shape[:1] == tensor.shape[:1]
        for name, tensor in reference.items()
    )


def _or_infinite(limit: float | None) -> float:
    return math.inf if limit is None else limit


def _least(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)
