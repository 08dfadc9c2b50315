"""Which detections of two lists are the same object, and which of them only rounding decided about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.selection import SelectionConfig
from compiler.selection.nms import overlaps

Array = NDArray[Any]
Booleans = NDArray[np.bool_]

SAME = 0.9
"""An overlap beyond which two boxes are the same one; a box that was kept instead overlaps less."""
OVERLAP_MARGIN = 1e-3
"""An overlap this near to the threshold, and rounding to fp32 decides which of two boxes is kept."""
SCORE_MARGIN = 1e-4
"""A score this near to another, or to the lowest that is kept, and rounding to fp32 decides which is the better."""
USUAL_SHARE = 0.9
"""How many of the pairs differ by no more than a precision usually makes them differ."""
UNDECIDED_SHARE = 0.05
"""Rounding decides about little: where detections that score more in all differ, it is something else."""

TIE = 1e-5
"""Scores that are this near to each other are in the order that rounding gives them."""


def are_tied(scores: Iterable[Array]) -> bool:
    """Whether many scores are what others of the same list are, so that rounding ranks them."""
    tied = pairs = 0
    for values in scores:
        apart = np.diff(np.sort(values.astype(np.float64)))
        tied, pairs = tied + int((apart <= TIE).sum()), pairs + len(apart)
    return tied > UNDECIDED_SHARE * pairs


@dataclass(frozen=True, eq=False)
class Detected:
    """What was found, in arrays.

    Attributes:
        boxes: `[n, 4]`, x1, y1, x2, y2.
        scores: `[n]`.
        groups: `[n]`, such as the label: boxes of different groups are different objects, and do not exclude each
            other.
        is_full: Whether there may have been more.
    """

    boxes: Array
    scores: Array
    groups: Array
    is_full: bool = False


@dataclass(frozen=True, eq=False)
class Pairing:
    """How two lists of detections go together.

    Attributes:
        pairs: Indices into the first and the second list, each at most once.
        undecided: For each list, which of its detections the other may lack for no more than rounding.
    """

    pairs: list[tuple[int, int]]
    undecided: tuple[Booleans, Booleans]

    def unpaired(self) -> tuple[Booleans, Booleans]:
        """For each list, which of its detections the other lacks and should not."""
        first, second = (~undecided for undecided in self.undecided)
        for one, other in self.pairs:
            first[one] = second[other] = False
        return first, second


def pair(first: Detected, second: Detected, config: SelectionConfig) -> Pairing:
    """Pair detections of one list with those of the same group in another that they overlap most.

    Where two boxes overlap by just the threshold, or exclude each other and score the same, either way is right: those
    that one list lacks for it, and all that they exclude in turn, are undecided. So are those whose score is at the
    threshold, or at the lowest of a full list. Where those would score more than a little in all, none are.

    How near is near depends on the precision, which shows in the pairs. Nothing is forgiven that way which they do not
    show, and they are held to a tolerance.

    Args:
        first: Some detections.
        second: Those to pair them with.
        config: How they were selected.
    """
    pairs = _pairs(first, second)
    alone = np.ones(len(first.boxes), bool), np.ones(len(second.boxes), bool)
    for one, other in pairs:
        alone[0][one] = alone[1][other] = False
    ratio = overlaps(first.boxes[:, None], second.boxes[None]) * (first.groups[:, None] == second.groups[None])
    ahead = first.scores[:, None] - second.scores[None]
    score_margin, overlap_margin = _margins(first, second, pairs)
    lowest = [_lowest(side, config) + score_margin for side in (first, second)]
    undecided = alone[0] & (first.scores <= lowest[1]), alone[1] & (second.scores <= lowest[0])
    # Without a threshold, no overlap is too much.
    most = np.inf if config.iou_threshold is None else config.iou_threshold
    # Only a better box excludes another.
    may_exclude = (
        (ratio > most - overlap_margin) & (ahead <= score_margin),
        (ratio > most - overlap_margin) & (ahead >= -score_margin),
    )
    is_tied = (ratio < most + overlap_margin) | (np.abs(ahead) < score_margin)
    while True:
        found = (
            alone[0] & (may_exclude[0] & (is_tied | undecided[1][None])).any(axis=1),
            alone[1] & (may_exclude[1] & (is_tied | undecided[0][:, None])).any(axis=0),
        )
        if not any((new & ~known).any() for new, known in zip(found, undecided, strict=True)):
            break
        undecided = undecided[0] | found[0], undecided[1] | found[1]
    little = UNDECIDED_SHARE * min(first.scores.sum(), second.scores.sum())
    if max(first.scores[undecided[0]].sum(), second.scores[undecided[1]].sum()) > little:
        undecided = np.zeros_like(undecided[0]), np.zeros_like(undecided[1])
    return Pairing(pairs, undecided)


def _pairs(first: Detected, second: Detected) -> list[tuple[int, int]]:
    """Who overlaps whom most; the nearest score decides between equal overlaps."""
    ratio = overlaps(_at_least_a_pixel(first.boxes)[:, None], _at_least_a_pixel(second.boxes)[None])
    ones, others = np.nonzero((ratio > SAME) & (first.groups[:, None] == second.groups[None]))
    apart = np.abs(first.scores[ones] - second.scores[others])
    return one_to_one(ones, others, np.lexsort((apart, -ratio[ones, others])))


def one_to_one(ones: Array, others: Array, order: Array) -> list[tuple[int, int]]:
    """The best pairs of candidates in which no index stands twice, by the index into the first list.

    Args:
        ones: `[c]`, the index of each candidate pair into the first list.
        others: `[c]`, that into the second.
        order: `[c]`, the candidates, the best first.
    """
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for index in order:
        one, other = int(ones[index]), int(others[index])
        if one not in pairs and other not in taken:
            pairs[one] = other
            taken.add(other)
    return sorted(pairs.items())


def _margins(first: Detected, second: Detected, pairs: list[tuple[int, int]]) -> tuple[float, float]:
    """How near scores and overlaps have to be for rounding to decide: twice what it does to one detection."""
    if not pairs:
        return SCORE_MARGIN, OVERLAP_MARGIN
    ones, others = np.transpose(pairs)
    apart = np.abs(first.scores[ones] - second.scores[others])
    moved = 1 - overlaps(first.boxes[ones], second.boxes[others])
    usual_score, usual_overlap = (float(np.quantile(differences, USUAL_SHARE)) for differences in (apart, moved))
    return max(SCORE_MARGIN, 2 * usual_score), max(OVERLAP_MARGIN, 2 * usual_overlap)


def _lowest(detected: Detected, config: SelectionConfig) -> float:
    """The score below which a list has no room."""
    return float(detected.scores.min()) if detected.is_full and len(detected.scores) else config.score_thr


def _at_least_a_pixel(boxes: Array) -> Array:
    """Boxes with the sides of slivers moved apart: rounding decides whether two slivers overlap."""
    center, sides = (boxes[:, 2:] + boxes[:, :2]) / 2, np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    return np.hstack([center - sides / 2, center + sides / 2])
