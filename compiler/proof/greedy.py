"""Whether detections are what greedy selection makes of candidates, whichever of those that score the same comes first.

A selection is right if each detection is a candidate, no two exclude each other, and whatever candidate is none is
excluded by a detection that scores as much, or by too many that do. That says nothing of the order among equals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.proof.candidates import Level, box_scale, final_scores, joined_levels
from compiler.selection import SelectionConfig
from compiler.selection.nms import overlaps

Array = NDArray[Any]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Margins:
    """How far rounding may move what a selection is decided by.

    Attributes:
        score: Two scores, or a score and a threshold.
        overlap: An overlap and its threshold.
        box: A coordinate, in sides of its box.
    """

    score: float
    overlap: float
    box: float


OWN = Margins(score=2e-6, overlap=1e-5, box=1e-5)
"""Of a stage's own candidates: it selects from the very numbers."""


def selection_faults(
    selected: Tensors, levels: Sequence[Level], config: SelectionConfig, margins: Margins, reach: float
) -> Iterator[str]:
    """Yield what is wrong with detections, in words, at most one fault for each image.

    Args:
        selected: `dets`, `labels`, and what else was found about each.
        levels: What they were selected from.
        config: How.
        margins: How far rounding goes.
        reach: The longest side that an image may fill, in pixels.
    """
    for item, (boxes, scores, extras) in enumerate(joined_levels(levels)):
        may, must = (_looked_at(levels, item, config, sign * margins.score) for sign in (-1, 1))
        rows = selected["labels"][item] >= 0
        found = {name: tensor[item][rows] for name, tensor in selected.items()}
        fault = next(_faults(found, _Pairs(boxes, scores, may, must), extras, config, margins, reach), "")
        if fault:
            yield f"image {item}: {fault}"


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The pairs of a box and a class in one image.

    Attributes:
        boxes: `[n, 4]`.
        scores: `[n, c]`.
        may: `[n, c]`, whether a pair may be among those that are looked at.
        must: `[n, c]`, whether it has to be.
    """

    boxes: Array
    scores: Array
    may: Booleans
    must: Booleans


def _looked_at(levels: Sequence[Level], item: int, config: SelectionConfig, margin: float) -> Booleans:
    """Which pairs, `[n, c]`, are looked at with every threshold moved up by a margin."""
    parts = []
    for level in levels:
        scores, boxes = level.scores[item], level.boxes[item]
        kept = np.ones(scores.shape, bool)
        if level.factors is not None and config.conf_thr > 0:
            kept &= level.factors[item][:, None] >= config.conf_thr + margin
        if 0 < config.nms_pre < scores.size:
            ranked = np.where(kept, scores, 0).ravel()
            kept &= scores >= np.partition(ranked, -config.nms_pre)[-config.nms_pre] + margin
        kept &= scores > config.score_thr + margin
        kept &= final_scores(level, item) > 0
        if config.min_bbox_size >= 0:
            with np.errstate(invalid="ignore", over="ignore"):
                sides = (boxes[:, 2:] - boxes[:, :2]).min(axis=1)
            # In pixels: rounding a coordinate of a few hundred moves it by less than this.
            kept &= (sides > config.min_bbox_size + 1e3 * margin)[:, None]
        parts.append(kept)
    return np.concatenate(parts)


def _faults(
    found: Tensors, pairs: _Pairs, extras: Tensors, config: SelectionConfig, margins: Margins, reach: float
) -> Iterator[str]:
    dets, labels = found["dets"], found["labels"]
    if (np.diff(dets[:, 4]) > margins.score).any():
        yield "the best do not come first"
    scale = box_scale(pairs.boxes, reach)
    origins: set[tuple[int, int]] = set()
    for row, (det, label) in enumerate(zip(dets, labels, strict=True)):
        own = {name: found[name][row] for name in extras}
        place = _origin(det, int(label), own, pairs, extras, scale, margins)
        if place is None:
            yield f"detection {row} of class {label}, which scores {det[4]:.6g}, is none of the candidates"
        elif (place, int(label)) in origins and not _has_twins(pairs, place, int(label)):
            yield f"detection {row} of class {label}, which scores {det[4]:.6g}, is there twice"
        else:
            origins.add((place, int(label)))
    if config.iou_threshold is not None:
        ratio = overlaps(dets[:, None, :4], dets[None, :, :4]) * (labels[:, None] == labels[None])
        np.fill_diagonal(ratio, 0)
        if (ratio > config.iou_threshold + margins.overlap).any():
            yield f"two detections of a class overlap by {ratio.max():.3g}, and {config.iou_threshold:g} is allowed"
    yield from _missing(dets, labels, origins, pairs, config, margins)


def _has_twins(pairs: _Pairs, place: int, label: int) -> bool:
    """Whether another candidate of the class has the same box."""
    return int((pairs.may[:, label] & (pairs.boxes == pairs.boxes[place]).all(axis=1)).sum()) > 1


def _origin(
    det: Array, label: int, own: Tensors, pairs: _Pairs, extras: Tensors, scale: Array, margins: Margins
) -> int | None:
    """The candidate that a detection is."""
    if not 0 <= label < pairs.scores.shape[1]:
        return None
    (rows,) = np.nonzero(pairs.may[:, label] & (np.abs(pairs.scores[:, label] - det[4]) <= margins.score))
    with np.errstate(invalid="ignore"):
        apart = np.where(pairs.boxes[rows] == det[:4], 0, np.abs(pairs.boxes[rows] - det[:4])) / scale[rows]
    near = (apart <= margins.box).all(axis=1)
    for name, tensor in extras.items():
        errors = np.abs(tensor[rows] - own[name]).reshape(len(rows), -1)
        deviation = float(tensor.std()) or 1.0
        near &= (errors <= margins.box * max(deviation, 1.0)).all(axis=1)
    (chosen,) = np.nonzero(near)
    return int(rows[chosen[apart[chosen].max(axis=1).argmin()]]) if len(chosen) else None


def _missing(
    dets: Array,
    labels: Array,
    origins: set[tuple[int, int]],
    pairs: _Pairs,
    config: SelectionConfig,
    margins: Margins,
) -> Iterator[str]:
    """Yield the first candidate that should be a detection and is none."""
    is_full = len(dets) == config.max_per_img
    lowest = dets[:, 4].min() if is_full else -np.inf
    for label in range(pairs.scores.shape[1]):
        (rows,) = np.nonzero(pairs.must[:, label] & (pairs.scores[:, label] > lowest + margins.score))
        rows = np.array([row for row in rows if (int(row), label) not in origins], np.int64)
        kept = dets[labels == label]
        if config.iou_threshold is not None and len(kept) and len(rows):
            excluded = overlaps(pairs.boxes[rows][:, None], kept[None, :, :4]) > config.iou_threshold - margins.overlap
            excluded &= kept[None, :, 4] >= pairs.scores[rows, label][:, None] - margins.score
            rows = rows[~excluded.any(axis=1)]
        if len(rows):
            score = pairs.scores[rows[0], label]
            yield f"{len(rows)} candidates of class {label} are missing, of which one scores {score:.6g}"
