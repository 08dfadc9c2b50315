"""Where a detector looks: points and anchor boxes, spread over its feature maps.

What depends on an image is the size of the maps alone, so priors are computed from it and can follow it at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


def grid_points(
    height: int, width: int, stride: float, offset: float, device: torch.device | str | None = None
) -> Tensor:
    """The points of a feature map's cells, `[height * width, 2]`: x and y in pixels of the network's input, row by row.

    Args:
        height: Rows of the feature map.
        width: Columns of the feature map.
        stride: Distance between two cells, in pixels.
        offset: Where in a cell its point lies, as a fraction of the stride: 0 for the corner, 0.5 for the centre.
        device: Where the points are made.
    """
    return _in_every_cell(
        torch.full((1, 2), offset * stride, dtype=torch.float32, device=device), height, width, stride
    )


def _in_every_cell(pattern: Tensor, height: int, width: int, stride: float) -> Tensor:
    """The points or boxes of the first cell, `[a, d]`, moved to each cell of a map: `[height * width * a, d]`."""
    x, y = (torch.arange(length, dtype=pattern.dtype, device=pattern.device) for length in (width, height))
    right, down = pattern.new_tensor([[stride, 0], [0, stride]]).repeat(1, pattern.shape[1] // 2)
    everywhere: Tensor = pattern + x.view(-1, 1, 1) * right + y.view(-1, 1, 1, 1) * down
    return everywhere.reshape(-1, pattern.shape[1])


def _size(feature: Tensor) -> tuple[int, int]:
    """The height and the width of a feature map."""
    height, width = feature.shape[-2:]
    return height, width


def by_prior(outputs: Sequence[Tensor], channels: int) -> Tensor:
    """Join output maps, `[n, a * channels, h, w]`, to `[n, m, channels]`: map by map, in the order of its priors."""
    joined = torch.cat([output.flatten(2) for output in outputs], dim=2)
    batch, stacked, cells = joined.shape
    return joined.transpose(1, 2).reshape(batch, cells * (stacked // channels), channels)


class MlvlPointGenerator(nn.Module):
    """One point in every cell of several feature maps (FCOS, arXiv:1904.01355).

    Args:
        strides: Distance between two cells of each map, in pixels.
        offset: Where in a cell its point lies, as a fraction of the stride: 0 for the corner, 0.5 for the centre.
    """

    def __init__(self, strides: Sequence[int], offset: float = 0.5) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.offset = offset

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The points of the maps, `[n, c, h, w]`: x and y in pixels, `[h * w, 2]` each, row by row."""
        return tuple(self._points(*level) for level in zip(maps, self.strides, strict=True))

    def strides_of(self, priors: Sequence[Tensor]) -> Tensor:
        """The stride of each of the priors that were made for several maps: `[n, 1]` for all of them."""
        levels = zip(priors, self.strides, strict=True)
        return torch.cat([torch.full_like(level[:, :1], stride) for level, stride in levels])

    def _points(self, feature: Tensor, stride: int) -> Tensor:
        """The points of one map."""
        return grid_points(*_size(feature), stride, self.offset, feature.device)


class AnchorGrid(MlvlPointGenerator):
    """The same few anchor boxes around every cell of a feature map, on several maps.

    Args:
        strides: Distance between two cells of each map, in pixels.
        centers: x and y of the anchors of each map's first cell, in pixels.
        sizes: `[maps, a, 2]`, widths and heights of the anchors of a cell, in pixels.
    """

    base_anchors: Tensor

    def __init__(self, strides: Sequence[int], centers: Sequence[Sequence[float]], sizes: Tensor) -> None:
        super().__init__(strides, offset=0)
        self.num_base_priors = sizes.shape[1]
        center = torch.tensor(centers, dtype=torch.float32)[:, None]
        base_anchors = torch.cat([center - 0.5 * sizes, center + 0.5 * sizes], dim=-1)
        self.register_buffer("base_anchors", base_anchors, persistent=False)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The anchors of the maps, `[n, c, h, w]`: x1, y1, x2, y2, `[h * w * a, 4]` each, cell by cell."""
        levels = zip(maps, self.strides, self.base_anchors, strict=True)
        return tuple(
            _in_every_cell(anchors, level.shape[2], level.shape[3], stride) for level, stride, anchors in levels
        )


class AnchorGenerator(AnchorGrid):
    """Anchors of every scale in every ratio, in multiples of the stride, as Faster R-CNN has them (arXiv:1506.01497).

    Either `scales`, or `octave_base_scale` and `scales_per_octave` (RetinaNet, arXiv:1708.02002), have to be given.

    Args:
        strides: Distance between two cells of each feature map, and the side of an anchor of scale 1, in pixels.
        ratios: Heights over widths.
        scales: Sides of the square anchors, in strides.
        octave_base_scale: The smallest of the scales.
        scales_per_octave: How many scales there are up to the double of the smallest, which is not among them.
        centers: x and y of the anchors of each map's first cell, in pixels; 0, 0 by default.

    Raises:
        ValueError: The scales are given in both ways or in none, or there are not as many centres as strides.
    """

    def __init__(
        self,
        strides: Sequence[int],
        ratios: Sequence[float],
        scales: Sequence[float] | None = None,
        *,
        octave_base_scale: float | None = None,
        scales_per_octave: int | None = None,
        centers: Sequence[Sequence[float]] | None = None,
    ) -> None:
        if scales is None and octave_base_scale is not None and scales_per_octave is not None:
            scales = [octave_base_scale * 2 ** (step / scales_per_octave) for step in range(scales_per_octave)]
        elif scales is None or octave_base_scale is not None or scales_per_octave is not None:
            raise ValueError("give either scales, or octave_base_scale and scales_per_octave")
        centers = [(0, 0)] * len(strides) if centers is None else centers
        if len(centers) != len(strides):
            raise ValueError(f"centers has {len(centers)} entries, and strides {len(strides)}")
        sides = torch.tensor(strides)[:, None, None] * torch.tensor(scales)
        stretch = torch.tensor(ratios).sqrt()[:, None]
        super().__init__(strides, centers, torch.stack([sides * (1 / stretch), sides * stretch], dim=-1).flatten(1, 2))


class YOLOAnchorGenerator(AnchorGrid):
    """Anchors of given sizes around the centre of each cell, as YOLOv3 has them (arXiv:1804.02767).

    Args:
        strides: Distance between two cells of each feature map, in pixels.
        base_sizes: Width and height of the anchors of each map, in pixels; as many in each.

    Raises:
        ValueError: There are not as many lists of sizes as strides, or they differ in length.
    """

    def __init__(self, strides: Sequence[int], base_sizes: Sequence[Sequence[Sequence[float]]]) -> None:
        if len(base_sizes) != len(strides):
            raise ValueError(f"base_sizes has {len(base_sizes)} entries, and strides {len(strides)}")
        if len(set(map(len, base_sizes))) != 1:
            raise ValueError("base_sizes must hold as many sizes for each stride")
        centers = [(stride / 2, stride / 2) for stride in strides]
        super().__init__(strides, centers, torch.tensor(base_sizes, dtype=torch.float32))
