"""Shapes that people draw around objects: the boxes around them, and their areas."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compiler.datasets.dataset import Box, Point
from compiler.errors import Caution
from compiler.tasks.text_detection.polygons import area


@dataclass(frozen=True)
class Outline:
    """What was drawn around one object.

    Attributes:
        box: Around it.
        area: In square pixels.
    """

    box: Box
    area: float


def box_around(points: Sequence[Point]) -> Box:
    """The smallest box around points.

    Raises:
        ValueError: There are none.
    """
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def polygon_area(points: Sequence[Point]) -> float:
    """The area of a polygon.

    Raises:
        ValueError: It has fewer than three corners.
    """
    if len(points) < 3:
        raise ValueError(f"a polygon has {len(points)} corners, and not at least three")
    return area(np.array(points, np.float64))


def tell_left_out(count: int) -> None:
    """Caution that shapes were left out that have no area."""
    if count:
        warnings.warn(f"points and lines have no area: {count} left out", Caution, stacklevel=3)
