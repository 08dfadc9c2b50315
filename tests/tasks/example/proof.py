"""How classification is proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compiler.proof.whole_image import WholeImageProof
from tests.tasks.example.classification import Guess


@dataclass(frozen=True)
class ClassificationProof(WholeImageProof[Guess]):
    """Guesses, compared by their scores; the samples are those of all tasks that look at whole images."""

    unit: ClassVar[str] = "probability"

    def difference(self, a: Sequence[Guess], b: Sequence[Guess]) -> float:
        """The largest difference of two scores; infinity where the classes differ."""
        if [one.name for one in a] != [one.name for one in b]:
            return float("inf")
        return max((abs(one.score - other.score) for one, other in zip(a, b, strict=True)), default=0.0)
