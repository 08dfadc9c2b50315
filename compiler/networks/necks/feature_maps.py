"""The neck of HRNetV2 (arXiv:1904.04514): the maps of all resolutions side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence


class FeatureMapProcessor(nn.Module):
    """Choose among feature maps, and join them.

    Takes feature maps, finest first. Gives those chosen, or with `concat` one of the first one's height and width and
    the channels of all.

    Args:
        select_index: Which maps are used, in that order; None for all.
        concat: Enlarge the maps to the size of the first and join their channels.
        align_corners: Whether the corners of a map stay where they are when it is enlarged.
    """

    def __init__(
        self, select_index: int | Sequence[int] | None = None, concat: bool = False, *, align_corners: bool = False
    ) -> None:
        super().__init__()
        self.select_index = (select_index,) if isinstance(select_index, int) else select_index
        self.concat = concat
        self.align_corners = align_corners

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The chosen maps, or the one that they are joined to."""
        chosen = tuple(features if self.select_index is None else (features[index] for index in self.select_index))
        if not self.concat:
            return chosen
        size = chosen[0].shape[2:]
        enlarged = (F.interpolate(one, size, mode="bilinear", align_corners=self.align_corners) for one in chosen)
        return (torch.cat(list(enlarged), dim=1),)
