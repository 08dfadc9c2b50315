"""Polygons around text: grown, drawn around pixels, and compared."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pyclipper
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
Polygon = NDArray[np.floating[Any]]

_PARTS = 1024  # of a pixel: pyclipper knows whole numbers only
_TINY = 1e-3


def grown(polygon: Integers, ratio: float) -> Floats:
    """Move a polygon's edges outward, by `ratio` times its area by its perimeter; corners become round.

    Args:
        polygon: `[k, 2]`, at whole pixels.
        ratio: Of the distance that the edges move.

    Returns:
        `[n, 2]`, at whole pixels; `[0, 2]` where nothing is left, or several polygons.
    """
    corners = polygon.tolist()  # a few points are looked at sooner one by one than as an array
    perimeter = math.fsum(map(math.dist, corners, corners[1:] + corners[:1]))
    offset = pyclipper.PyclipperOffset()
    offset.AddPath(corners, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    paths = offset.Execute(cv2.contourArea(polygon) * ratio / perimeter)
    # MMOCR takes the first of several that have equally many points.
    if len({len(path) for path in paths}) != 1:
        return np.zeros((0, 2), np.float32)
    return np.array(paths[0], np.float32)


def rectangle(points: NDArray[np.int32 | np.float32]) -> tuple[Floats, float]:
    """The smallest rectangle around points, and its shorter side.

    Its corners, `[4, 2]`, go clockwise from the leftmost, or of two that are leftmost from the lower: OpenCV 4 begins
    there as well, unless the rectangle is upright, and OpenCV 5 elsewhere.
    """
    box = cv2.minAreaRect(points)
    corners = np.asarray(cv2.boxPoints(box), np.float32)
    across, down = corners.T.tolist()
    leftmost = [corner for corner, x in enumerate(across) if x < min(across) + _TINY]
    start = max(leftmost, key=down.__getitem__)
    return np.concatenate([corners[start:], corners[:start]]), min(box[1])


def outline(points: Integers) -> Floats:
    """The outline of connected pixels, `[k, 2]`; straight runs have their ends only.

    Args:
        points: `[n, 2]`, x and y of each pixel.
    """
    left, top, width, height = cv2.boundingRect(points)
    mask = np.zeros((height, width), np.uint8)
    mask[points[:, 1] - top, points[:, 0] - left] = 1
    (contour, *_), _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top))
    return np.asarray(contour.reshape(-1, 2), np.float32)


def overlap(first: Floats, second: Floats) -> float:
    """The intersection of two polygons by their union, to a 1024th of a pixel; 0 where one has no area."""
    common, union = intersection_and_union(first, second)
    return common / union if union else 0.0


def intersection_and_union(first: Polygon, second: Polygon) -> tuple[float, float]:
    """The areas of the intersection and of the union of two polygons, in square pixels, to a 1024th of a pixel.

    Both are 0 where one of them has no area.
    """
    clipper = pyclipper.Pyclipper()
    try:
        for polygon, part in ((first, pyclipper.PT_SUBJECT), (second, pyclipper.PT_CLIP)):
            clipper.AddPath(np.rint(polygon * _PARTS).astype(np.int64), part, True)
    except pyclipper.ClipperException:
        return 0.0, 0.0
    # The area of a hole is negative.
    common, union = (
        sum(map(pyclipper.Area, clipper.Execute(operation, pyclipper.PFT_NONZERO, pyclipper.PFT_NONZERO)))
        for operation in (pyclipper.CT_INTERSECTION, pyclipper.CT_UNION)
    )
    return float(common) / _PARTS**2, float(union) / _PARTS**2


def area(polygon: Polygon) -> float:
    """The area that a polygon goes around, in square pixels."""
    x, y = np.asarray(polygon, np.float64).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)
