"""How far raw outputs are from those of a reference, and how far they may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.proof.task_proof import AnyProof


@dataclass(frozen=True)
class Tolerance:
    """When a stage counts as proven.

    Attributes:
        relative: The largest absolute error, in standard deviations of the reference output; None for no limit.
        decoded: The largest difference after decoding, in the task's unit; None where only the raw outputs count.
        cosine: The smallest cosine similarity; None for no limit.
    """

    relative: float | None
    decoded: float | None = None
    cosine: float | None = None

    def holds(self, comparison: Comparison) -> bool:
        """Whether a raw output is within it."""
        is_near = self.relative is None or comparison.relative_error <= self.relative
        is_parallel = self.cosine is None or comparison.cosine_similarity >= self.cosine
        return is_near and is_parallel


@dataclass(frozen=True)
class Comparison:
    """One output of one stage for one input, against the reference.

    Attributes:
        input: Batch and size of the input, such as `4x640x640`.
        output: As the task compares it.
        relative_error: The largest absolute error, in standard deviations of the reference.
    """

    input: str
    output: str
    max_absolute_error: float
    mean_absolute_error: float
    relative_error: float
    cosine_similarity: float

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Comparison:
        """Read what `dataclasses.asdict` and JSON made of it; JSON holds infinities and not-a-numbers as text."""
        names = ("max_absolute_error", "mean_absolute_error", "relative_error", "cosine_similarity")
        numbers = {name: float(values[name]) for name in names}
        return cls(input=values["input"], output=values["output"], **numbers)


def compare(reference: Tensors, found: Tensors, proof: AnyProof, input_name: str = "") -> list[Comparison]:
    """Compare every output; one of another shape counts as infinitely wrong."""
    if _are_alike(reference, found):
        reference, found = proof.comparable(reference, reference), proof.comparable(found, reference)
    return [compare_arrays(name, reference[name], found.get(name), input_name) for name in reference]


def compare_arrays(name: str, reference: NDArray[Any], found: NDArray[Any] | None, input_name: str = "") -> Comparison:
    """Compare one output; none, and one of another shape, counts as infinitely wrong."""
    if found is None or found.shape != reference.shape:
        return Comparison(input_name, name, math.inf, math.inf, math.inf, 0.0)
    expected, actual = reference.astype(np.float64).ravel(), found.astype(np.float64).ravel()
    errors = np.abs(actual - expected)
    # A constant or empty output has no deviation to measure in.
    deviation = (float(expected.std()) if expected.size else 0.0) or 1.0
    return Comparison(
        input=input_name,
        output=name,
        max_absolute_error=float(errors.max(initial=0.0)),
        mean_absolute_error=float(errors.mean()) if errors.size else 0.0,
        relative_error=float(errors.max(initial=0.0)) / deviation,
        cosine_similarity=_cosine(expected, actual),
    )


def _are_alike(reference: Tensors, found: Tensors) -> bool:
    """Whether a task can read both: the same names, numbers of items, and numbers of dimensions."""
    return all(
        name in found and found[name].ndim == tensor.ndim and len(found[name]) == len(tensor)
        for name, tensor in reference.items()
    )


def _cosine(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / norms if norms else float(np.array_equal(first, second))
