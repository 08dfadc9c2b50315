"""From what a detector regresses to boxes, x1, y1, x2, y2 in pixels of the network's input."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from compiler.selection.boxes import clip_boxes

if TYPE_CHECKING:
    from collections.abc import Sequence

# A box is at most this many times as wide or high as its anchor, or as many times smaller (mmdet's wh_ratio_clip).
_LARGEST_RATIO = 1000 / 16


def distance2bbox(points: Tensor, distance: Tensor, max_shape: tuple[int, int] | None = None) -> Tensor:
    """The boxes, `[..., n, 4]`, whose edges lie at given distances from points (FCOS, arXiv:1904.01355).

    Args:
        points: `[n, 2]`, x and y.
        distance: `[..., n, 4]`, to the left, upper, right and lower edge, in pixels. Where they are negative, a box
            may have its right edge left of its left one.
        max_shape: Height and width that boxes are clipped to; None for no clipping.
    """
    boxes = torch.cat([points, points], dim=1) + distance * distance.new_tensor([-1, -1, 1, 1])
    return boxes if max_shape is None else clip_boxes(boxes, *max_shape)


def yolo2bbox(anchors: Tensor, prediction: Tensor, stride: Tensor | float) -> Tensor:
    """The boxes, `[..., n, 4]`, that YOLOv3 predicts (arXiv:1804.02767); they may reach out of the image.

    Args:
        anchors: `[n, 4]`, each around the centre of its cell.
        prediction: `[..., n, 4]`: where in its cell the box has its centre, before the sigmoid, and the logarithms of
            its width and height over the anchor's.
        stride: Side of a cell, in pixels; of each prior, `[n, 1]`, where they differ.
    """
    shift, stretch = prediction.chunk(2, dim=-1)
    center = (anchors[:, :2] + anchors[:, 2:]) * 0.5 + (shift.sigmoid() - 0.5) * stride
    half_size = (anchors[:, 2:] - anchors[:, :2]) * 0.5 * stretch.exp()
    return torch.cat([center - half_size, center + half_size], dim=-1)


class DeltaXYWHBBoxCoder(nn.Module):
    """Boxes as shifts and stretches of anchors (R-CNN, arXiv:1311.2524).

    Args:
        target_means: Added to the deltas, once they are multiplied by `target_stds`.
        target_stds: What the deltas are multiplied by.
        clip_border: Clip boxes to the image.
    """

    means: Tensor
    stds: Tensor

    def __init__(
        self,
        target_means: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
        target_stds: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        *,
        clip_border: bool = True,
    ) -> None:
        super().__init__()
        self.clip_border = clip_border
        self.register_buffer("means", torch.tensor(target_means, dtype=torch.float32), persistent=False)
        self.register_buffer("stds", torch.tensor(target_stds, dtype=torch.float32), persistent=False)

    def forward(self, anchors: Tensor, deltas: Tensor, max_shape: tuple[int, int]) -> Tensor:
        """The boxes, `[..., n, 4]`, that the deltas make of the anchors.

        Args:
            anchors: `[n, 4]`.
            deltas: `[..., n, 4]`: how far the centre moves in x and y, in widths and heights of the anchor, and the
                logarithms of the factors by which width and height grow.
            max_shape: Height and width of the image.
        """
        shift, stretch = (deltas * self.stds + self.means).chunk(2, dim=-1)
        largest = math.log(_LARGEST_RATIO)
        size = anchors[:, 2:] - anchors[:, :2]
        center = (anchors[:, :2] + anchors[:, 2:]) * 0.5 + size * shift
        half_size = size * 0.5 * stretch.clamp(-largest, largest).exp()
        boxes = torch.cat([center - half_size, center + half_size], dim=-1)
        return clip_boxes(boxes, *max_shape) if self.clip_border else boxes
