"""Tell which detections of two lists are the same object."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.tasks.nms import overlaps

Array = NDArray[Any]


def pair(boxes: tuple[Array, Array], groups: tuple[Array, Array], scores: tuple[Array, Array]) -> list[tuple[int, int]]:
    """Pair boxes of one list with boxes of the same group in another; those that overlap most first.

    Args:
        boxes: `[n, 4]` and `[m, 4]`, x1, y1, x2, y2.
        groups: `[n]` and `[m]`, such as labels.
        scores: `[n]` and `[m]`; the nearest decides between equal overlaps.

    Returns:
        Indices into the first and the second list, each at most once. Boxes that do not overlap are no pair.
    """
    first_boxes, second_boxes = map(_at_least_a_pixel, boxes)
    ratio = overlaps(first_boxes[:, None], second_boxes[None])
    firsts, seconds = np.nonzero((ratio > 0) & (groups[0][:, None] == groups[1][None]))
    apart = np.abs(scores[0][firsts] - scores[1][seconds])
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for index in np.lexsort((apart, -ratio[firsts, seconds])):
        first, second = int(firsts[index]), int(seconds[index])
        if first not in pairs and second not in taken:
            pairs[first] = second
            taken.add(second)
    return sorted(pairs.items())


def _at_least_a_pixel(boxes: Array) -> Array:
    """Return boxes with the sides of slivers moved apart: rounding decides whether two slivers overlap."""
    center, sides = (boxes[:, 2:] + boxes[:, :2]) / 2, np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    return np.hstack([center - sides / 2, center + sides / 2])


def order_like(found: tuple[Array, Array], like: tuple[Array, Array]) -> NDArray[np.int64]:
    """Return the rows of one image's detections in the order of another's.

    Args:
        found: `[n, 5]` boxes with scores, and `[n]` labels.
        like: The same, of as many rows; rows that have no partner are taken by those that are left, in their order.
    """
    (dets, labels), (like_dets, like_labels) = found, like
    pairs = pair((like_dets[:, :4], dets[:, :4]), (like_labels, labels), (like_dets[:, 4], dets[:, 4]))
    order = np.full(len(dets), -1, np.int64)
    for place, row in pairs:
        order[place] = row
    order[order < 0] = np.setdiff1d(np.arange(len(dets)), order)
    return order
