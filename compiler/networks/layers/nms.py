"""Non-maximum suppression as operators of torch: they run eagerly in NumPy, and export as one piece.

Both take boxes `[b, n, 4]` as x1, y1, x2, y2 and scores `[b, n, c]`, of which those above zero count, and give the best
`max_per_image` detections of each image, sorted by score, with their labels. Rows without a detection are zero, and
their label is -1. `compiler.export.operators` says what they become in ONNX.
"""

from __future__ import annotations

import torch
from torch import Tensor

from compiler.tasks.nms import detections


@torch.library.custom_op("deploy_compiler::nms", mutates_args=())
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, max_per_image: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return detections `[b, max, 5]`, labels `[b, max]` and which of the n boxes they are `[b, max]`, -1 for none."""
    dets, labels, indices = detections(boxes.numpy(), scores.numpy(), iou_threshold, max_per_image)
    return torch.from_numpy(dets), torch.from_numpy(labels), torch.from_numpy(indices)


@nms.register_fake
def _(boxes: Tensor, scores: Tensor, iou_threshold: float, max_per_image: int) -> tuple[Tensor, Tensor, Tensor]:
    batch = boxes.shape[0]
    labels = boxes.new_empty((batch, max_per_image), dtype=torch.int64)
    return boxes.new_empty((batch, max_per_image, 5)), labels, torch.empty_like(labels)


@torch.library.custom_op("deploy_compiler::efficient_nms", mutates_args=())
def efficient_nms(boxes: Tensor, scores: Tensor, iou_threshold: float, max_per_image: int) -> tuple[Tensor, Tensor]:
    """Return detections `[b, max, 5]` and labels `[b, max]`, in the one node that TensorRT has a fused kernel for."""
    dets, labels, _ = detections(boxes.numpy(), scores.numpy(), iou_threshold, max_per_image)
    return torch.from_numpy(dets), torch.from_numpy(labels)


@efficient_nms.register_fake
def _(boxes: Tensor, scores: Tensor, iou_threshold: float, max_per_image: int) -> tuple[Tensor, Tensor]:
    batch = boxes.shape[0]
    return boxes.new_empty((batch, max_per_image, 5)), boxes.new_empty((batch, max_per_image), dtype=torch.int64)
