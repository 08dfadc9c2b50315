"""Boxes as tensors, x1, y1, x2, y2 in pixels of the network's input."""

from __future__ import annotations

import torch
from torch import Tensor


def clip_boxes(boxes: Tensor, height: int, width: int) -> Tensor:
    """Boxes, `[..., 4]`, with what lies outside of an image of this size cut off."""
    sides = [torch.scalar_tensor(side, dtype=boxes.dtype, device=boxes.device) for side in (width, height)]
    return boxes.clamp(min=0).minimum(torch.stack(sides * 2))
