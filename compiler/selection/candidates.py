"""What a detector's head decodes its raw outputs to, before any of it is selected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
        extras: What else is found about each box, by name, such as key points or a mask: `[b, n, ...]`.
    """

    boxes: Tensor
    scores: Tensor
    factors: Tensor | None = None
    extras: Mapping[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> dict[str, Tensor]:
        """All that there is of them, by name."""
        factors = {} if self.factors is None else {"factors": self.factors}
        return {"boxes": self.boxes, "scores": self.scores, **factors, **self.extras}

    def at(self, indices: Tensor) -> Candidates:
        """The candidates at indices `[b, k]`."""
        return Candidates(
            boxes=rows(self.boxes, indices),
            scores=rows(self.scores, indices),
            factors=None if self.factors is None else rows(self.factors, indices),
            extras={name: rows(tensor, indices) for name, tensor in self.extras.items()},
        )


def by_level(boxes: Tensor, scores: Sequence[Tensor]) -> tuple[Candidates, ...]:
    """One group for the scores of each feature map, `[b, m, c]`, with its part of the boxes, `[b, n, 4]`."""
    parts = torch.split(boxes, [score.shape[1] for score in scores], dim=1)
    return tuple(Candidates(*level) for level in zip(parts, scores, strict=True))


def joined(groups: Sequence[Candidates]) -> Candidates:
    """The candidates of all groups as one; all have the same extras, and factors or none."""
    if len(groups) == 1:
        return groups[0]
    factors = [group.factors for group in groups if group.factors is not None]
    return Candidates(
        boxes=torch.cat([group.boxes for group in groups], dim=1),
        scores=torch.cat([group.scores for group in groups], dim=1),
        factors=torch.cat(factors, dim=1) if factors else None,
        extras={name: torch.cat([group.extras[name] for group in groups], dim=1) for name in groups[0].extras},
    )


def rows(tensor: Tensor, indices: Tensor) -> Tensor:
    """The rows of `[b, n, ...]` at indices `[b, k]`."""
    return tensor.gather(1, _like_rows(indices, tensor).expand(-1, -1, *tensor.shape[2:]))


def found_rows(tensor: Tensor, indices: Tensor) -> Tensor:
    """The rows of `[b, n, ...]` at indices `[b, k]`; those at -1 are zero."""
    is_found = _like_rows(indices, tensor) >= 0
    return rows(tensor, indices.clamp(min=0)).where(is_found, tensor.new_zeros(()))


def _like_rows(indices: Tensor, tensor: Tensor) -> Tensor:
    """Indices `[b, k]` with as many dimensions as `[b, n, ...]` has."""
    return indices.reshape(*indices.shape, *(1 for _ in tensor.shape[2:]))
