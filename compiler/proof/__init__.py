"""The proof: what comes out of every stage, compared with what the original network gives on the same real input."""

from compiler.proof.comparisons import Comparison, Tolerance, compare, compare_arrays
from compiler.proof.task_proof import AnyProof, TaskProof, proof_of
from compiler.proof.verdicts import NETWORK, REWRITTEN, Run, StageProof, first_failure, joined, prove, references_of

__all__ = [
    "NETWORK",
    "REWRITTEN",
    "AnyProof",
    "Comparison",
    "Run",
    "StageProof",
    "TaskProof",
    "Tolerance",
    "compare",
    "compare_arrays",
    "first_failure",
    "joined",
    "proof_of",
    "prove",
    "references_of",
]
