"""How the detection of text is proven: polygons, compared by their overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from compiler.proof.pairing import UNDECIDED_SHARE, one_to_one
from compiler.proof.whole_image import WholeImageProof
from compiler.selection.nms import overlaps
from compiler.tasks.text_detection.polygons import overlap, rectangle
from compiler.tasks.text_detection.task import TextDetection, TextInstance

SCORE_MARGIN = 1e-4
"""A score this near to the lowest that is kept, and rounding decides whether it is."""


@dataclass(frozen=True)
class TextDetectionProof(WholeImageProof[TextInstance]):
    """Texts, paired by their bounding boxes."""

    unit: ClassVar[str] = "1 - IoU"
    limit: ClassVar[float] = 0.1
    things: ClassVar[str] = "texts"

    task: TextDetection

    def difference(self, a: Sequence[TextInstance], b: Sequence[TextInstance]) -> float:
        """The largest 1 - IoU between a text in `a` and the same in `b`; 1 where one of them lacks it.

        Texts that are less than a pixel wide are left out, and so are those that only one list has where rounding
        decides whether they score enough. So is the small share of many texts that rounding may decide about: it joins
        islands of pixels, and parts them.
        """
        worst = 0.0
        for item in {one.item for one in (*a, *b)}:
            first, second = ([one for one in side if one.item == item and _is_wide(one)] for side in (a, b))
            pairs = _pairs(first, second)
            alone = [one for row, one in enumerate(first) if row not in pairs]
            alone += [one for row, one in enumerate(second) if row not in pairs.values()]
            missing = sum(one.score > self.task.postprocessor.lowest_score + SCORE_MARGIN for one in alone)
            apart = [1 - float(overlap(first[row].polygon, second[other].polygon)) for row, other in pairs.items()]
            few = int(UNDECIDED_SHARE * min(len(first), len(second)))
            worst = max([worst, *sorted([1.0] * missing + apart, reverse=True)[few:]])
        return worst


def _is_wide(text: TextInstance) -> bool:
    """Whether rounding cannot decide what area a text has."""
    return rectangle(text.polygon)[1] >= 1


def _pairs(first: Sequence[TextInstance], second: Sequence[TextInstance]) -> dict[int, int]:
    """Which texts of two lists go together: those whose bounding boxes overlap most, by their indices."""
    boxes = [
        np.array([[*one.polygon.min(axis=0), *one.polygon.max(axis=0)] for one in side]).reshape(-1, 4)
        for side in (first, second)
    ]
    ratio = overlaps(boxes[0][:, None], boxes[1][None])
    rows, others = np.nonzero(ratio)
    return dict(one_to_one(rows, others, np.argsort(-ratio[rows, others], kind="stable")))
