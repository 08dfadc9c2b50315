"""What the necks that merge a pyramid of feature maps have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence


def enlarge(feature: Tensor, factor: int = 2, mode: str = "nearest") -> Tensor:
    """A feature map, `[n, c, h, w]`, made `factor` times as high and wide; `mode` is as in `F.interpolate`."""
    return F.interpolate(feature, scale_factor=factor, mode=mode)


def as_large_as_the_first(features: Sequence[Tensor], mode: str = "nearest") -> list[Tensor]:
    """The feature maps, each twice as high and wide as the next, enlarged to the size of the first of them."""
    return [features[0], *(enlarge(feature, 2**level, mode) for level, feature in enumerate(features[1:], start=1))]
