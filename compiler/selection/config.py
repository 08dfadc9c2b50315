"""The settings: which candidates become detections."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SelectionConfig:
    """Which candidates become detections: OpenMMLab's `test_cfg`, with `nms.iou_threshold` as `iou_threshold`.

    Attributes:
        nms_pre: How many pairs of a box and a class are looked at, the best of each level; below 1 all are.
        min_bbox_size: Boxes must be wider and higher than this, in pixels of the network's input; below 0 any will do,
            though an engine may take inverted corners for those of a box.
        score_thr: Pairs must score more.
        conf_thr: The objectness of a pair, where there is one, must be as high.
        iou_threshold: A box is dropped if it overlaps a better one of its class by more. None drops none: for networks
            that give each object one box, as DETR does.
        max_per_img: How many detections an image has at most.

    Raises:
        ValueError: A threshold is not within 0 and 1, or there are no detections.
    """

    nms_pre: int = 1000
    min_bbox_size: int = 0
    score_thr: float = 0.05
    conf_thr: float = 0.0
    iou_threshold: float | None = 0.5
    max_per_img: int = 100

    def __post_init__(self) -> None:
        thresholds = (self.score_thr, self.conf_thr, self.iou_threshold)
        if not all(0 <= threshold <= 1 for threshold in thresholds if threshold is not None):
            raise ValueError("score_thr, conf_thr and iou_threshold must be within 0 and 1")
        if self.max_per_img < 1:
            raise ValueError("max_per_img must be at least 1")
