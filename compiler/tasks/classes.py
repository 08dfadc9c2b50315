"""Classes of objects, and pictures of boxes with their names."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from compiler.printable import caption

if TYPE_CHECKING:
    from compiler.tasks.images import Image

Colour = tuple[int, int, int]

_GOLDEN_RATIO = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Classes:
    """The classes of objects that a network tells apart.

    Attributes:
        names: In the order of the network's scores.

    Raises:
        ValueError: There are none, or two have the same name.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) != len(self.names):
            raise ValueError("names must be unique, and there must be at least one")


def color_of(number: int) -> Colour:
    """The colour of a class or thing as RGB: hues turn by the golden ratio, so that near numbers differ most."""
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN_RATIO % 1, 0.85, 0.95 if number % 2 else 0.75)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_box(canvas: Image, box: NDArray[np.floating], text: str, color: Colour) -> None:
    """Draw a box, and a text on a ground of its colour at its upper left corner, onto a BGR image, in place.

    Args:
        canvas: Lines and letters grow with it.
        box: `[4]`, x1, y1, x2, y2 in pixels.
        text: Above the box, or inside it where there is no room above.
        color: RGB.
    """
    text = caption(text)
    height, width = canvas.shape[:2]
    thickness = max(1, round(max(height, width) / 400))
    # The right and lower edges of the whole image lie one pixel beyond its last.
    x1, y1, x2, y2 = (round(float(edge)) for edge in np.clip(box, 0, [width - 1, height - 1] * 2))
    cv2.rectangle(canvas, (x1, y1), (x2, y2), color[::-1], thickness, cv2.LINE_AA)
    scale = max(0.35, max(height, width) / 1600)
    stroke = max(1, round(scale * 1.5))
    (text_width, text_height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
    ground = text_height + baseline + thickness
    left = max(0, min(x1 - thickness // 2, width - text_width - 2 * thickness))
    top = y1 - ground if y1 >= ground else y1
    cv2.rectangle(canvas, (left, top), (left + text_width + 2 * thickness, top + ground), color[::-1], cv2.FILLED)
    # Black letters on light grounds, white ones on dark, by the luminance of ITU-R BT.601.
    ink = 0 if np.dot(color, (0.299, 0.587, 0.114)) > 140 else 255
    origin = (left + thickness, top + text_height + thickness)
    cv2.putText(canvas, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (ink, ink, ink), stroke, cv2.LINE_AA)
