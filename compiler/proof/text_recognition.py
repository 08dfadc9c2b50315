"""How the recognition of text is proven: by the characters that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compiler.proof.task_proof import TaskProof
from compiler.tasks import Sample
from compiler.tasks.images import Image
from compiler.tasks.text_recognition.task import PreparedTexts, Text, TextRecognition, pixels_in

if TYPE_CHECKING:
    from compiler.config.sizes import Size


@dataclass(frozen=True)
class TextRecognitionProof(TaskProof[Image, PreparedTexts, Text]):
    """Texts in crops: one for each box, in their order."""

    unit: ClassVar[str] = "characters"
    limit: ClassVar[float] = 0.0
    things: ClassVar[str] = "characters"

    task: TextRecognition

    def samples(self, sample: Sample[Image], count: int, size: Size) -> PreparedTexts:
        """`count` crops around the boxes in turn: first as they are, then a part of each.

        Each is stretched to the whole of `size`, as in training: a batch of padding would prove little.
        """
        first = self.task.preprocess(sample).boxes
        chosen = first[np.arange(count) % len(first)].astype(np.float64)
        sides = np.tile(chosen[:, 2:] - chosen[:, :2], 2)
        inward = np.random.default_rng(0).uniform(0, 0.2, chosen.shape) * [1, 1, -1, -1]
        inward[: len(first)] = 0
        chosen += sides * inward
        _, width = size
        tensor = np.stack([self.task.normalised(pixels_in(sample.source, box), width) for box in chosen])[:, None]
        return PreparedTexts({"input": tensor}, (width,) * count, chosen.astype(np.float32))

    def found(self, results: Sequence[Text]) -> int:
        """How many characters are read."""
        return sum(len(one.text) for one in results)

    def difference(self, a: Sequence[Text], b: Sequence[Text]) -> float:
        """The most characters by which a text in `a` differs from the same in `b`: their edit distance."""
        if len(a) != len(b):
            return float("inf")
        return float(max((edit_distance(one.text, other.text) for one, other in zip(a, b, strict=True)), default=0))


def edit_distance(a: str, b: str) -> int:
    """How many characters must be changed, added or removed to make `b` of `a`: Levenshtein's distance."""
    row = list(range(len(b) + 1))
    for index, character in enumerate(a, 1):
        previous, row = row, [index]
        for column, other in enumerate(b):
            row.append(min(previous[column] + (character != other), previous[column + 1] + 1, row[column] + 1))
    return row[-1]
