"""What a detector's head decodes its raw outputs to, before any of it is selected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@dataclass(frozen=True)
class Candidates:
    """Boxes that compete with each other for being kept: those of one level, or of all.

    Attributes:
        boxes: `[b, n, 4]`, x1, y1, x2, y2 in pixels of the network's input.
        scores: `[b, n, c]` of each class, from 0 to 1: what boxes are ranked by.
        factors: `[b, n]`, what the scores are multiplied by once the best are chosen (an objectness); None for 1.
        keypoints: `[b, n, k, 3]`, x and y in pixels of the network's input and a score; None where there are none.
    """

    boxes: Tensor
    scores: Tensor
    factors: Tensor | None = None
    keypoints: Tensor | None = None


def by_level(boxes: Tensor, scores: Sequence[Tensor]) -> tuple[Candidates, ...]:
    """Return one group for the scores of each feature map, `[b, m, c]`, with its part of the boxes, `[b, n, 4]`."""
    parts = torch.split(boxes, [score.shape[1] for score in scores], dim=1)
    return tuple(Candidates(*level) for level in zip(parts, scores, strict=True))
