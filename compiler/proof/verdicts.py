"""Verdicts: every stage run on every input, and held to its tolerance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from compiler.artifact import Tensors
from compiler.proof.comparisons import Comparison, Tolerance, compare
from compiler.proof.task_proof import AnyProof
from compiler.tasks import Prepared

NETWORK = "network"
REWRITTEN = "rewritten network"

Run = Callable[[Tensors], Tensors]


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
        """A JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StageProof:
        """Read what `to_dict` wrote."""
        return cls(
            stage=values["stage"],
            reference=values["reference"],
            comparisons=tuple(map(Comparison.from_dict, values["comparisons"])),
            decoded={sample: float(difference) for sample, difference in values["decoded"].items()},
            within=values["within"],
            lossy=values["lossy"],
        )


def prove(
    stages: Sequence[tuple[str, Run]],
    samples: Mapping[str, Prepared],
    proof: AnyProof,
    tolerance: Tolerance,
    *,
    lossy: bool = False,
    reduced: Mapping[str, Tolerance] | None = None,
) -> list[StageProof]:
    """Run every stage on every input and compare it with the first one.

    Args:
        stages: Names and ways to run them, in the order of the data; the first is the original network.
        samples: Prepared real input, by its batch and size.
        proof: Decodes, and measures the difference in its own unit.
        tolerance: When a stage counts as proven.
        lossy: Whether a rewriter that fired is lossy by contract. The rewritten network is then held to the decoded
            tolerance alone (where there is one), and the stages behind it are held to the rewritten network.
        reduced: The tolerance of stages in a lower precision, by name.

    Returns:
        One proof for each stage but the first, in order.
    """
    (reference_name, run_reference), *rest = stages
    reference = {sample: run_reference(prepared.tensors) for sample, prepared in samples.items()}
    proofs = []
    for name, run in rest:
        found = {sample: run(prepared.tensors) for sample, prepared in samples.items()}
        is_lossy = lossy and name == REWRITTEN
        comparisons: list[Comparison] = []
        decoded: dict[str, float] = {}
        for sample, prepared in samples.items():
            compared = compare(reference[sample], found[sample], proof, sample)
            decoded[sample] = _decoded_difference(proof, reference[sample], found[sample], prepared, compared)
            comparisons += compared
        own = (reduced or {}).get(name, tolerance)
        within = _within(comparisons, decoded, own, raw_counts=not is_lossy)
        proofs.append(StageProof(name, reference_name, tuple(comparisons), decoded, within, is_lossy))
        if is_lossy:
            reference_name, reference = name, found
    return proofs


def first_failure(proofs: Sequence[StageProof]) -> StageProof | None:
    """The first stage that is beyond its tolerance."""
    return next((proof for proof in proofs if not proof.within), None)


def _within(
    comparisons: Sequence[Comparison], decoded: Mapping[str, float], tolerance: Tolerance, *, raw_counts: bool
) -> bool:
    raw_is_within = not raw_counts or all(map(tolerance.holds, comparisons))
    decoded_is_within = tolerance.decoded is None or all(d <= tolerance.decoded for d in decoded.values())
    return raw_is_within and decoded_is_within


def _decoded_difference(
    proof: AnyProof, reference: Tensors, found: Tensors, prepared: Prepared, compared: Sequence[Comparison]
) -> float:
    if any(math.isinf(comparison.max_absolute_error) for comparison in compared):
        return math.inf
    return proof.difference(proof.decode(reference, prepared), proof.decode(found, prepared))


def _rank(error: float) -> float:
    return math.inf if math.isnan(error) else error
