"""The comparisons and the ledger of a proof as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compiler.artifact import read_json, write_json
from compiler.proof import StageProof
from rewriters import Entry

PROOF_FILE = "proof.json"


def write_proof(folder: Path, proofs: Sequence[StageProof], ledger: Sequence[Entry]) -> None:
    """Write the comparisons and the ledger."""
    evidence = {"proofs": [proof.to_dict() for proof in proofs], "ledger": [entry.to_dict() for entry in ledger]}
    write_json(folder / PROOF_FILE, {"version": 1, **evidence})


def read_proof(folder: Path) -> tuple[tuple[StageProof, ...], tuple[Entry, ...]]:
    """The comparisons and the ledger that a stage wrote."""
    evidence = read_json(folder / PROOF_FILE)
    return tuple(map(StageProof.from_dict, evidence["proofs"])), tuple(map(Entry.from_dict, evidence["ledger"]))


def summed_up(proof: StageProof, reference: str) -> str:
    """How far a stage is from a reference, in a few words."""
    return f"{proof.stage} within {proof.worst.relative_error:.1e} {proof.worst.yardstick} of the {reference}"
