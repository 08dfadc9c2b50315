"""Verdicts: every stage run on every input, and held to its tolerance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from compiler.artifact import Tensors
from compiler.proof.basis import Basis
from compiler.proof.comparisons import Comparison, Tolerance, are_alike, compare
from compiler.proof.task_proof import AnyProof
from compiler.proof.ties import Judgement, Selecting
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
        lossy: Whether a rewriter in it is lossy by contract, so that it is held to what a lower precision is.
        bases: On how much the verdict stands, by input; nothing where that was not counted yet.
        faults: What is beyond the tolerance, or was not compared, in words.
    """

    stage: str
    reference: str
    comparisons: tuple[Comparison, ...]
    decoded: dict[str, float]
    within: bool
    lossy: bool = False
    bases: dict[str, Basis] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    @property
    def worst(self) -> Comparison:
        """The comparison with the largest relative error; one that is not a number is worst of all."""
        return max(self.comparisons, key=lambda comparison: _rank(comparison.relative_error))

    @property
    def worst_decoded(self) -> float:
        """The largest difference after decoding; one that is not a number is worst of all."""
        return max(self.decoded.values(), key=_rank, default=0.0)

    @property
    def weakest(self) -> Basis | None:
        """The least that a verdict for one input stands on; None where that was not counted yet."""
        return min(self.bases.values(), key=lambda basis: (basis.numbers, basis.results), default=None)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StageProof:
        """Read what `to_dict` wrote, now or before the bases were counted."""
        return cls(
            stage=values["stage"],
            reference=values["reference"],
            comparisons=tuple(map(Comparison.from_dict, values["comparisons"])),
            decoded={size: float(difference) for size, difference in values["decoded"].items()},
            within=values["within"],
            lossy=values["lossy"],
            bases={size: Basis.from_dict(basis) for size, basis in values.get("bases", {}).items()},
            faults=tuple(map(str, values.get("faults", ()))),
        )


@dataclass(frozen=True)
class Reference:
    """What a stage is held against, at one input.

    Attributes:
        size: Of the input.
        prepared: The input.
        outputs: What the reference gives.
        candidates: What it gives with its selection open; None where the selection found something, or there is none.
        tied: What it selects from, where rounding ranks what it selects; None where it does not, or that is not known.
    """

    size: str
    prepared: Prepared
    outputs: Tensors
    candidates: Tensors | None
    tied: Tensors | None = None


@dataclass(frozen=True)
class Stage:
    """Ways to run one stage; those in which it does not select are None where there is none.

    Attributes:
        run: As it is.
        opened: With its selection open.
        candidates: For all that it computes before it selects.
    """

    run: Run
    opened: Callable[[], Run | None]
    candidates: Callable[[], Run | None]


def prove(
    stages: Sequence[tuple[str, Run]],
    samples: Mapping[str, Prepared],
    proof: AnyProof,
    tolerance: Tolerance,
    *,
    lossy: Tolerance | None = None,
    reduced: Mapping[str, Tolerance] | None = None,
    opened: Callable[[str], Run | None] = lambda name: None,
    candidates: Callable[[str], Run | None] = lambda name: None,
) -> list[StageProof]:
    """Run every stage on every input and compare it with the first one.

    Args:
        stages: Names and ways to run them, in the order of the data; the first is the original network.
        samples: Prepared real input, by its batch and size.
        proof: Decodes, and measures the difference in its own unit.
        tolerance: When a stage counts as proven.
        lossy: What the rewritten network is held to where a rewriter that fired is lossy by contract; the stages behind
            it are then held to the rewritten network.
        reduced: The tolerance of stages in a lower precision, by name.
        opened: A way to run the stage of this name with its selection open: an input in which the reference finds
            nothing is compared so. A stage that has none is then not proven, for nothing was compared.
        candidates: A way to run the stage of this name for what it selects from: an input in which rounding ranks what
            the reference selects is compared so. The detections of a stage that has none are held to the reference's.

    Returns:
        One proof for each stage but the first, in order.
    """
    (name, first), *rest = (
        (name, Stage(run, partial(opened, name), partial(candidates, name))) for name, run in stages
    )
    references = references_of(samples, first, proof)
    proofs = []
    for stage, ways in rest:
        is_lossy = lossy is not None and stage == REWRITTEN
        own = lossy if lossy is not None and is_lossy else (reduced or {}).get(stage, tolerance)
        found = prove_stage(ways, references, proof, own)
        proofs.append(replace(found, stage=stage, reference=name, lossy=is_lossy))
        if is_lossy:
            name, references = stage, references_of(samples, ways, proof)
    return proofs


def joined(proofs: Sequence[StageProof]) -> StageProof:
    """The proofs of one stage on several inputs, as one."""
    first, *_ = proofs
    return replace(
        first,
        comparisons=tuple(one for proof in proofs for one in proof.comparisons),
        decoded={size: difference for proof in proofs for size, difference in proof.decoded.items()},
        within=all(proof.within for proof in proofs),
        bases={size: basis for proof in proofs for size, basis in proof.bases.items()},
        faults=tuple(fault for proof in proofs for fault in proof.faults),
    )


def first_failure(proofs: Sequence[StageProof]) -> StageProof | None:
    """The first stage that is beyond its tolerance."""
    return next((proof for proof in proofs if not proof.within), None)


def references_of(samples: Mapping[str, Prepared], stage: Stage, proof: AnyProof) -> list[Reference]:
    """What others are held against, where that is a stage."""
    found = {size: stage.run(prepared.tensors) for size, prepared in samples.items()}
    run_open = stage.opened() if not all(map(proof.count, found.values())) else None
    run_tied = stage.candidates() if any(map(proof.is_tied, found.values())) else None
    return [
        Reference(
            size,
            prepared,
            found[size],
            run_open(prepared.tensors) if run_open and not proof.count(found[size]) else None,
            run_tied(prepared.tensors) if run_tied and proof.is_tied(found[size]) else None,
        )
        for size, prepared in samples.items()
    ]


def prove_stage(stage: Stage, references: Sequence[Reference], proof: AnyProof, tolerance: Tolerance) -> StageProof:
    """The proof of a stage that has no name yet."""
    run_open = stage.opened() if any(one.candidates is not None for one in references) else None
    run_tied = stage.candidates() if any(one.tied is not None for one in references) else None
    comparisons: list[Comparison] = []
    decoded: dict[str, float] = {}
    bases: dict[str, Basis] = {}
    faults: list[str] = []
    for reference in references:
        size, tensors = reference.size, reference.prepared.tensors
        found = stage.run(tensors)
        if reference.tied is not None and are_alike(reference.outputs, found):
            selecting = Selecting(size, found, reference.outputs, run_tied(tensors) if run_tied else None)
            judged = proof.judge_selection(reference.tied, selecting, reference.prepared, tolerance.margin)
            decoded[size], bases[size] = judged.decoded, _tied_basis(proof, reference, judged)
            comparisons += judged.comparisons
            faults += _faults(proof, reference, judged.comparisons, decoded[size], bases[size], tolerance)
            faults += [f"the selection of {size} is wrong: {fault}" for fault in judged.faults]
            continue
        compared = compare(reference.outputs, found, proof, size)
        decoded[size] = _decoded_difference(proof, reference, found, compared)
        bases[size] = _basis(proof, reference, is_open=run_open is not None)
        if bases[size].opened and run_open:
            compared += _open_comparisons(reference, run_open(tensors), proof)
        comparisons += compared
        faults += _faults(proof, reference, compared, decoded[size], bases[size], tolerance)
    return StageProof("", "", tuple(comparisons), decoded, not faults, bases=bases, faults=tuple(faults))


def _tied_basis(proof: AnyProof, reference: Reference, judged: Judgement) -> Basis:
    """On how much a comparison stands of what is selected from."""
    results = proof.found(proof.decode(reference.outputs, reference.prepared))
    return Basis(judged.numbers, results, proof.things, tied=True)


def _basis(proof: AnyProof, reference: Reference, *, is_open: bool) -> Basis:
    """On how much a comparison with the reference stands."""
    results = proof.found(proof.decode(reference.outputs, reference.prepared))
    numbers = proof.count(reference.outputs)
    if numbers or reference.candidates is None or not is_open:
        return Basis(numbers, results, proof.things)
    return Basis(proof.count(reference.candidates), results, proof.things, opened=True)


def _open_comparisons(reference: Reference, found: Tensors, proof: AnyProof) -> list[Comparison]:
    """The candidates that the selection drops, compared."""
    compared = compare(reference.candidates or {}, found, proof, reference.size)
    return [replace(one, output=f"{one.output} of candidates") for one in compared]


def _decoded_difference(proof: AnyProof, reference: Reference, found: Tensors, compared: Sequence[Comparison]) -> float:
    if any(one.max_absolute_error == math.inf and one.cosine_similarity == 0 for one in compared):
        return math.inf  # it has another shape, and cannot be decoded
    return proof.decoded_difference(reference.outputs, found, reference.prepared)


def _faults(
    proof: AnyProof,
    reference: Reference,
    compared: Sequence[Comparison],
    decoded: float,
    basis: Basis,
    tolerance: Tolerance,
) -> Iterator[str]:
    """Yield what of one input is beyond the tolerance, in words."""
    size = reference.size
    if not basis.numbers:
        yield f"nothing was compared for the input {size}: the reference finds no {basis.things} there"
    for one in compared:
        odd = f" ({one.oddity})" if one.oddity else ""
        yield from (f"{one.output} of {size} has {fault}{odd}" for fault in tolerance.faults(one))
    allowed = proof.allowed(reference.prepared) if tolerance.decoded is None else tolerance.decoded
    if not decoded <= allowed:
        yield f"{size} is {decoded:.2g} {proof.unit} off after decoding where {allowed:.2g} are allowed"


def _rank(error: float) -> float:
    return math.inf if math.isnan(error) else error
