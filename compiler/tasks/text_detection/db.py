"""Differentiable binarization: texts are the islands in one map of probabilities (arXiv:1911.08947)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from compiler.tasks.text_detection.polygons import grown, rectangle
from compiler.tasks.text_detection.postprocessor import Floats, Postprocessor, Region

Integers = NDArray[np.int32]

_FIRST_STRIP = 48
"""Rows at the bottom of a map that are looked at first."""


@dataclass(frozen=True)
class DBPostprocessor(Postprocessor):
    """MMOCR's `DBPostprocessor`, on a map `[h, w]` of probabilities.

    Attributes:
        text_repr_type: `poly` for outlines, `quad` for the smallest rectangles around them.
        mask_thr: Pixels above it are text.
        min_text_score: Texts whose mean probability is below it are dropped.
        min_text_width: Rectangles whose shorter side is below it are dropped, in pixels.
        unclip_ratio: How far an outline moves outward: the network is trained on shrunk texts.
        epsilon_ratio: How far a simplified outline may deviate, as a share of its perimeter.
        max_candidates: After so many outlines and one more, the rest are not looked at.

    Raises:
        ValueError: There is no such representation.
    """

    rank: ClassVar[int] = 2

    text_repr_type: str = "poly"
    mask_thr: float = 0.3
    min_text_score: float = 0.3
    min_text_width: int = 5
    unclip_ratio: float = 1.5
    epsilon_ratio: float = 0.01
    max_candidates: int = 3000

    @property
    def lowest_score(self) -> float:
        """Below it, a text is dropped."""
        return self.min_text_score

    def regions(self, maps: Floats) -> list[Region]:
        """The texts of one image; see `Postprocessor.regions`."""
        mask = (maps > self.mask_thr).astype(np.uint8)
        contours = first_contours(mask, self.max_candidates + 1)
        found = (self._region(maps, np.asarray(contour, np.int32)) for contour in contours)
        return [region for region in found if region]

    def _region(self, maps: Floats, contour: Integers) -> Region | None:
        """The text that a contour in the map stands for, if it is one."""
        if len(contour) < 4:
            return None
        epsilon = self.epsilon_ratio * cv2.arcLength(contour, True)
        simple = np.asarray(cv2.approxPolyDP(contour, epsilon, True), np.int32).reshape(-1, 2)
        if len(simple) < 4 or self._is_too_small(simple):
            return None
        score = _mean_inside(maps, simple)
        if score < self.min_text_score:
            return None
        polygon = grown(simple, self.unclip_ratio)
        if len(polygon) and self.text_repr_type == "quad":
            polygon, width = rectangle(polygon)
            if width < self.min_text_width:
                return None
        return Region(polygon, score) if len(polygon) >= 4 else None

    def _is_too_small(self, polygon: Integers) -> bool:
        """Whether a polygon is too narrow even when it is grown, told without growing it: noise is full of those.

        The rectangle around it that has the least area has no more than an upright one, and a rectangle's shorter side
        is at most the root of its area.
        """
        if self.text_repr_type != "quad":
            return False
        _, _, columns, rows = cv2.boundingRect(polygon)
        # To both sides, and half a pixel for rounding; the corners of n pixels are n - 1 apart.
        wider = 2 * cv2.contourArea(polygon) * self.unclip_ratio / max(cv2.arcLength(polygon, True), 1) + 1
        return (columns - 1 + wider) * (rows - 1 + wider) < self.min_text_width**2


def first_contours(mask: NDArray[np.uint8], count: int) -> Sequence[NDArray[Any]]:
    """The first of the contours that OpenCV finds in a mask, which are those that begin lowest.

    Noise has ten times as many. In the strip below a row they are the same, but for those that begin in that row.
    """
    height = len(mask)
    rows = _FIRST_STRIP
    while rows < height:
        contours, _ = cv2.findContours(
            mask[height - rows :], cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE, offset=(0, height - rows)
        )
        if len(contours) < count // 4:
            break  # text, and no noise: all is looked at sooner than once more
        if len(contours) > count and contours[count - 1][:, 0, 1].min() > height - rows:
            return contours[:count]
        rows *= 4
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    return contours[:count]


def _mean_inside(maps: Floats, polygon: Integers) -> float:
    """The mean of a map within a polygon, its edge included."""
    left, top, width, height = cv2.boundingRect(polygon)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [polygon], (1,), offset=(-left, -top))
    return float(cv2.mean(maps[top : top + height, left : left + width], mask)[0])
