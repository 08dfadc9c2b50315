"""The proof: what comes out of every stage, compared with what the original network gives on the same real input."""

from compiler.proof.verdicts import (
    NETWORK,
    REWRITTEN,
    Comparison,
    Run,
    StageProof,
    Tolerance,
    compare,
    compare_arrays,
    first_failure,
    prove,
)

__all__ = [
    "NETWORK",
    "REWRITTEN",
    "Comparison",
    "Run",
    "StageProof",
    "Tolerance",
    "compare",
    "compare_arrays",
    "first_failure",
    "prove",
]
