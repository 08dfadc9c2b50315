"""The key points of a data set: their names, their symmetry, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from compiler.tasks.images import Image

Colour = tuple[int, int, int]
"""Red, green and blue, from 0 to 255."""

# OpenCV draws at fractions of a pixel when coordinates are multiplied by a power of two.
_FRACTION_BITS = 4


@dataclass(frozen=True)
class Link:
    """A line of the skeleton between two key points, by name."""

    ends: tuple[str, str]
    color: Colour


@dataclass(frozen=True)
class Keypoints:
    """A set of key points.

    Attributes:
        names: One a point, in the order of the network's outputs.
        swap: For each point, the index of the one that it becomes in a mirror; its own if it lies in the middle. None
            where nobody says.
        colors: For each point.
        skeleton: Lines between points.

    Raises:
        ValueError: The lists differ in length, `swap` is not its own inverse, a link names an unknown point, or a
            colour is out of range.
    """

    names: tuple[str, ...]
    swap: tuple[int, ...] | None
    colors: tuple[Colour, ...]
    skeleton: tuple[Link, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.names)
        swap = tuple(range(count)) if self.swap is None else self.swap
        if not count == len(swap) == len(self.colors) == len(set(self.names)):
            raise ValueError("names must be unique, with one item of swap and of colors for each")
        for index, other in enumerate(swap):
            if not 0 <= other < count or swap[other] != index:
                raise ValueError(f"swap[{index}] is {other}, which does not lead back to {index}")
        for link in self.skeleton:
            if unknown := set(link.ends) - set(self.names):
                raise ValueError(f"the skeleton links {', '.join(sorted(unknown))}, which is not among the names")
        for color in (*self.colors, *(link.color for link in self.skeleton)):
            if not all(0 <= level <= 255 for level in color):
                raise ValueError(f"the colour {list(color)} is not within 0 and 255")

    def draw(self, canvas: Image, points: NDArray[np.float32], visible: Sequence[bool], radius: float) -> None:
        """Draw the points and lines of one instance onto `canvas`, in place.

        Args:
            canvas: BGR image.
            points: `[k, 2]`, x and y in pixels.
            visible: For each point; a line is drawn if both its ends are visible.
            radius: Of the points, in pixels; lines are as thick.
        """
        places = dict(zip(self.names, points, strict=True))
        shown = {name for name, seen in zip(self.names, visible, strict=True) if seen}
        thickness = max(1, round(radius))
        for link in self.skeleton:
            if shown.issuperset(link.ends):
                start, end = (_fixed(places[name]) for name in link.ends)
                cv2.line(canvas, start, end, link.color[::-1], thickness, cv2.LINE_AA, _FRACTION_BITS)
        ring = round((radius + max(1.0, radius / 3)) * 2**_FRACTION_BITS)
        for name, color in zip(self.names, self.colors, strict=True):
            if name in shown:
                # A light ring keeps a point visible on a line, or on an image, of its own colour.
                centre, disc = _fixed(places[name]), round(radius * 2**_FRACTION_BITS)
                cv2.circle(canvas, centre, ring, (255, 255, 255), cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS)
                cv2.circle(canvas, centre, disc, color[::-1], cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS)


def _fixed(point: NDArray[np.float32]) -> tuple[int, int]:
    """A point as OpenCV's fixed-point coordinates."""
    x, y = np.rint(point.astype(np.float64) * 2**_FRACTION_BITS)
    return int(x), int(y)
