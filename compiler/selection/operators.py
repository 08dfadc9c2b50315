"""What selects detections in torch: an operator of our own, which exports as one piece, and torch's top-k.

Boxes are `[b, n, 4]`, x1, y1, x2, y2, and scores `[b, n, c]`, of which those above zero count. What comes out are the
best `max_per_image` detections of each image, the highest score first: boxes and scores `[b, max, 5]`, labels
`[b, max]`, and which of the n boxes they are, `[b, max]`. Rows without a detection are zero; their label and index are
-1.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from compiler.selection.candidates import found_rows
from compiler.selection.nms import detections


def select(
    boxes: Tensor, scores: Tensor, iou_threshold: float | None, max_per_image: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The detections, labels and indices; without a threshold, boxes may overlap each other by any amount."""
    if iou_threshold is None:
        return top_k(boxes, scores, max_per_image)
    found: tuple[Tensor, Tensor, Tensor] = nms(boxes, scores, iou_threshold, max_per_image)
    return found


@torch.library.custom_op("deploy_compiler::nms", mutates_args=())
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, max_per_image: int) -> tuple[Tensor, Tensor, Tensor]:
    """The detections, labels and indices of what does not overlap a better box of its class by more than a threshold.

    It runs eagerly in NumPy; `compiler.selection.translations` says what it becomes in ONNX.
    """
    dets, labels, indices = detections(boxes.numpy(), scores.numpy(), iou_threshold, max_per_image)
    return torch.from_numpy(dets), torch.from_numpy(labels), torch.from_numpy(indices)


@nms.register_fake
def _(boxes: Tensor, scores: Tensor, iou_threshold: float, max_per_image: int) -> tuple[Tensor, Tensor, Tensor]:
    batch = boxes.shape[0]
    labels = boxes.new_empty((batch, max_per_image), dtype=torch.int64)
    return boxes.new_empty((batch, max_per_image, 5)), labels, torch.empty_like(labels)


def top_k(boxes: Tensor, scores: Tensor, max_per_image: int) -> tuple[Tensor, Tensor, Tensor]:
    """The detections, labels and indices of the best pairs of a box and a class.

    Which of equal scores comes first is left to torch; in ONNX it is the lower class, and then the lower box.
    """
    boxes_in_image = scores.shape[1]
    pairs = scores.where(scores > 0, 0.0).transpose(1, 2).flatten(1)
    # There may be fewer pairs than detections.
    best, chosen = functional.pad(pairs, (0, max_per_image)).topk(max_per_image)
    is_found = best > 0
    labels = chosen.div(boxes_in_image, rounding_mode="trunc").where(is_found, -1)
    indices = (chosen % boxes_in_image).where(is_found, -1)
    return torch.cat([found_rows(boxes, indices), best[..., None]], dim=2), labels, indices
