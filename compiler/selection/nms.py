"""What selects detections in NumPy: greedy non-maximum suppression, each class by itself, or the best scores alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.selection.config import SelectionConfig
from compiler.selection.outputs import CANDIDATES, DETECTIONS, RAW_CANDIDATES
from compiler.spans import Span

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_AT_ONCE = 2048


@Span("select")
def select(candidates: Tensors, config: SelectionConfig) -> Tensors:
    """What a network would have given that selects detections itself, from what one gives that leaves it to the host.

    Args:
        candidates: `boxes`, `scores`, and what is found beside a box, `[b, n, ...]`, by name: of the `host` tail, or of
            the `raw` one.
        config: Which of them become detections.

    Returns:
        `dets`, `labels`, and what was found beside each, `[b, max_per_img, ...]`, with zeros behind the last.
    """
    if set(RAW_CANDIDATES) <= candidates.keys():
        candidates = preselect(candidates, config)
    boxes, scores = (candidates[name] for name in CANDIDATES)
    dets, labels, indices = detections(boxes, scores, config.iou_threshold, config.max_per_img)
    extras = {name: _found_rows(tensor, indices) for name, tensor in candidates.items() if name not in CANDIDATES}
    return {**dict(zip(DETECTIONS, (dets, labels), strict=True)), **extras}


def preselect(raw: Tensors, config: SelectionConfig) -> Tensors:
    """What the `host` tail would have given, from what the `raw` one gives; no candidate is left out, but made zero.

    Args:
        raw: `boxes`, `scores`, `factors`, `levels`, and what is found beside a box, by name.
        config: Which of them may become detections.
    """
    boxes, scores, factors, levels = (raw[name] for name in RAW_CANDIDATES)
    ranked = np.where(factors[..., None] >= config.conf_thr, scores, 0) if config.conf_thr > 0 else scores
    is_candidate = (scores > config.score_thr) & _among_best(ranked, np.rint(levels), config.nms_pre)
    if config.min_bbox_size >= 0:
        sides = boxes[..., 2:] - boxes[..., :2]
        is_candidate &= (sides > config.min_bbox_size).all(axis=-1, keepdims=True)
    kept = np.where(is_candidate, ranked * factors[..., None], 0).astype(scores.dtype)
    others = {name: tensor for name, tensor in raw.items() if name not in RAW_CANDIDATES}
    return {"boxes": boxes, "scores": kept, **others}


def _among_best(scores: NDArray[np.floating[Any]], levels: NDArray[Any], limit: int) -> NDArray[np.bool_]:
    """Which pairs of a box and a class, `[b, n, c]`, are as good as the last of the `limit` best of their level."""
    among = np.ones(scores.shape, np.bool_)
    for item, level in ((row, level) for row in range(len(levels)) for level in np.unique(levels[row])):
        at = levels[item] == level
        pairs = scores[item, at]
        if 0 < limit < pairs.size:
            among[item, at] = pairs >= np.partition(pairs, -limit, axis=None)[-limit]
    return among


def _found_rows(tensor: NDArray[Any], indices: Integers) -> NDArray[Any]:
    """The rows of `[b, n, ...]` at indices `[b, k]`; those at -1 are zero."""
    rows = tensor[np.arange(len(indices))[:, None], indices]
    rows[indices < 0] = 0
    return rows


def detections(
    boxes: NDArray[np.floating[Any]],
    scores: NDArray[np.floating[Any]],
    iou_threshold: float | None,
    max_per_img: int,
) -> tuple[Floats, Integers, Integers]:
    """The best detections of each image, the highest score first.

    Among equal scores the lower class comes first, and then the lower box.

    Args:
        boxes: `[b, n, 4]`, x1, y1, x2, y2.
        scores: `[b, n, c]`; a pair of a box and a class is a candidate if its score is above zero.
        iou_threshold: See `SelectionConfig`.
        max_per_img: See `SelectionConfig`.

    Returns:
        `[b, max_per_img, 5]` boxes and scores, `[b, max_per_img]` classes, and `[b, max_per_img]` which of the n boxes
        it is. Where there are fewer detections, rows of zeros follow, and their class and index are -1.
    """
    dets = np.zeros((len(boxes), max_per_img, 5), np.float32)
    labels = np.full(dets.shape[:2], -1, np.int64)
    indices = np.full(dets.shape[:2], -1, np.int64)
    for item, (item_boxes, item_scores) in enumerate(zip(boxes, scores, strict=True)):
        classes, rows = np.nonzero(item_scores.T > 0)
        values = item_scores[rows, classes]
        if iou_threshold is None:
            kept = _ranked(values)[:max_per_img]
        else:
            kept = suppress(item_boxes[rows], values, iou_threshold, max_per_img, classes)
        dets[item, : len(kept), :4] = item_boxes[rows[kept]]
        dets[item, : len(kept), 4] = values[kept]
        labels[item, : len(kept)] = classes[kept]
        indices[item, : len(kept)] = rows[kept]
    return dets, labels, indices


def _ranked(scores: NDArray[np.floating[Any]]) -> Integers:
    """Indices of scores, the best first; of equal ones the first, and of one that is no number none."""
    order = np.argsort(-scores, kind="stable")
    ranked: Integers = order[~np.isnan(scores[order])]
    return ranked


def suppress(
    boxes: NDArray[np.floating[Any]],
    scores: NDArray[np.floating[Any]],
    iou_threshold: float,
    limit: int,
    labels: NDArray[np.integer[Any]] | None = None,
) -> Integers:
    """Which boxes do not overlap a better one of their class that is kept, the best first.

    Args:
        boxes: `[n, 4]`, x1, y1, x2, y2.
        scores: `[n]`; among equal ones the first box is the better, and one that is not a number is dropped.
        iou_threshold: Boxes with a higher overlap than this exclude each other.
        limit: How many to return at most.
        labels: `[n]`, the class of each box; None means that all are of one.
    """
    order = _ranked(scores)
    classes = np.zeros(len(boxes), np.int64) if labels is None else labels
    kept: list[int] = []
    # A few at a time: where the limit is reached early, most candidates are never looked at.
    for start in range(0, len(order), _AT_ONCE):
        rest = order[start : start + _AT_ONCE]
        for better in kept:
            rest = _compatible(rest, better, boxes, classes, iou_threshold)
        while len(rest) and len(kept) < limit:
            kept.append(int(rest[0]))
            rest = _compatible(rest[1:], kept[-1], boxes, classes, iou_threshold)
        if len(kept) >= limit:
            break
    return np.array(kept, np.int64)


def _compatible(
    rest: Integers,
    better: int,
    boxes: NDArray[np.floating[Any]],
    classes: NDArray[np.integer[Any]],
    iou_threshold: float,
) -> Integers:
    """The candidates that are of another class than `better`, or do not overlap it by more than a threshold."""
    same = classes[rest] == classes[better]
    compatible: Integers = rest[~(same & (overlaps(boxes[better], boxes[rest]) > iou_threshold))]
    return compatible


def overlaps(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> Floats:
    """The intersection of boxes `[..., 4]` over their union; 0 where it is not a number."""
    # In single precision and in this order, as OpenMMLab and ONNX Runtime do it: the same boxes exceed a threshold.
    a, b = a.astype(np.float32), b.astype(np.float32)
    with np.errstate(all="ignore"):
        sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
        shared = np.prod(np.maximum(sides, 0), axis=-1)
        ratio = shared / (_areas(a) + _areas(b) - shared)
    return np.asarray(np.nan_to_num(ratio, nan=0.0), np.float32)


def _areas(boxes: Floats) -> Floats:
    return np.asarray((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]))
