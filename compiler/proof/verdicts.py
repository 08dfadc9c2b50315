"""The proof: what comes out of every stage, compared with what the original network gives on the same real input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.tasks import AnyTask, Prepared

NETWORK = "network"
REWRITTEN = "rewritten network"

Run = Callable[[Tensors], Tensors]


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
        """Tell whether a raw output is within it."""
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


@dataclass(frozen=True)
class StageProof:
    """Everything that was compared at one stage.

    Attributes:
        stage: What was run.
        reference: What it is held against.
        comparisons: Each input and output.
        decoded: The largest difference after decoding, in the task's unit, by input.
        within: Whether the stage is within its tolerance.
        lossy: Whether a rewriter in it is lossy by contract, so that the raw outputs do not count.
    """

    stage: str
    reference: str
    comparisons: tuple[Comparison, ...]
    decoded: dict[str, float]
    within: bool
    lossy: bool = False

    @property
    def worst(self) -> Comparison:
        """The comparison with the largest relative error; one that is not a number is worst of all."""
        return max(self.comparisons, key=lambda comparison: _rank(comparison.relative_error))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StageProof:
        """Read what `to_dict` wrote."""
        return cls(
            stage=values["stage"],
            reference=values["reference"],
            comparisons=tuple(map(Comparison.from_dict, values["comparisons"])),
            decoded={input: float(difference) for input, difference in values["decoded"].items()},
            within=values["within"],
            lossy=values["lossy"],
        )


def prove(
    stages: Sequence[tuple[str, Run]],
    samples: Mapping[str, Prepared],
    task: AnyTask,
    tolerance: Tolerance,
    *,
    lossy: bool = False,
    reduced: Mapping[str, Tolerance] | None = None,
) -> list[StageProof]:
    """Run every stage on every input and compare it with the first one.

    Args:
        stages: Names and ways to run them, in the order of the data; the first is the original network.
        samples: Prepared real input, by its batch and size.
        task: Decodes, and measures the difference in its own unit.
        tolerance: When a stage counts as proven.
        lossy: Whether a rewriter that fired is lossy by contract. The rewritten network is then held to the decoded
            tolerance alone (where there is one), and the stages behind it are held to the rewritten network.
        reduced: The tolerance of stages in a lower precision, by name.

    Returns:
        One proof for each stage but the first, in order.
    """
    (reference_name, run_reference), *rest = stages
    reference = {input: run_reference(prepared.tensors) for input, prepared in samples.items()}
    proofs = []
    for name, run in rest:
        found = {input: run(prepared.tensors) for input, prepared in samples.items()}
        is_lossy = lossy and name == REWRITTEN
        comparisons: list[Comparison] = []
        decoded: dict[str, float] = {}
        for input, prepared in samples.items():
            compared = compare(reference[input], found[input], task, input)
            decoded[input] = _decoded_difference(task, reference[input], found[input], prepared, compared)
            comparisons += compared
        own = (reduced or {}).get(name, tolerance)
        within = _within(comparisons, decoded, own, raw_counts=not is_lossy)
        proofs.append(StageProof(name, reference_name, tuple(comparisons), decoded, within, is_lossy))
        if is_lossy:
            reference_name, reference = name, found
    return proofs


def compare(reference: Tensors, found: Tensors, task: AnyTask, input: str = "") -> list[Comparison]:
    """Compare every output; one of another shape counts as infinitely wrong."""
    if _are_alike(reference, found):
        reference, found = task.comparable(reference, reference), task.comparable(found, reference)
    return [compare_arrays(name, reference[name], found.get(name), input) for name in reference]


def first_failure(proofs: Sequence[StageProof]) -> StageProof | None:
    """Return the first stage that is beyond its tolerance."""
    return next((proof for proof in proofs if not proof.within), None)


def _within(
    comparisons: Sequence[Comparison], decoded: Mapping[str, float], tolerance: Tolerance, *, raw_counts: bool
) -> bool:
    raw_is_within = not raw_counts or all(map(tolerance.holds, comparisons))
    decoded_is_within = tolerance.decoded is None or all(d <= tolerance.decoded for d in decoded.values())
    return raw_is_within and decoded_is_within


def _decoded_difference(
    task: AnyTask, reference: Tensors, found: Tensors, prepared: Prepared, compared: Sequence[Comparison]
) -> float:
    if any(math.isinf(comparison.max_absolute_error) for comparison in compared):
        return math.inf
    return task.difference(task.decode(reference, prepared), task.decode(found, prepared))


def _are_alike(reference: Tensors, found: Tensors) -> bool:
    """Tell whether a task can read both: the same names, numbers of items, and numbers of dimensions."""
    return all(
        name in found and found[name].ndim == tensor.ndim and len(found[name]) == len(tensor)
        for name, tensor in reference.items()
    )


def compare_arrays(name: str, reference: NDArray[Any], found: NDArray[Any] | None, input: str = "") -> Comparison:
    """Compare one output; none, and one of another shape, counts as infinitely wrong."""
    if found is None or found.shape != reference.shape:
        return Comparison(input, name, math.inf, math.inf, math.inf, 0.0)
    expected, actual = reference.astype(np.float64).ravel(), found.astype(np.float64).ravel()
    errors = np.abs(actual - expected)
    # A constant or empty output has no deviation to measure in.
    deviation = (float(expected.std()) if expected.size else 0.0) or 1.0
    return Comparison(
        input=input,
        output=name,
        max_absolute_error=float(errors.max(initial=0.0)),
        mean_absolute_error=float(errors.mean()) if errors.size else 0.0,
        relative_error=float(errors.max(initial=0.0)) / deviation,
        cosine_similarity=_cosine(expected, actual),
    )


def _cosine(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / norms if norms else float(np.array_equal(first, second))


def _rank(error: float) -> float:
    return math.inf if math.isnan(error) else error
