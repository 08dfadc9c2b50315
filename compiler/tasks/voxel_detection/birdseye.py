"""Pictures of point clouds and boxes, seen from above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from compiler.printable import caption
from compiler.tasks.classes import Colour
from compiler.tasks.points import Points
from compiler.tasks.voxel_detection.boxes3d import Floats, rectangle_corners

if TYPE_CHECKING:
    from compiler.tasks.images import Image

_LONGER_SIDE = 1280
_MARGIN = 48
_OVERSAMPLING = 2
_FARTHEST = 30_000
"""Pixels; OpenCV draws with 16 bits before the point."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# BGR.
_GROUND, _FLOOR, _GRID, _BORDER, _INK = (24, 18, 14), (34, 27, 22), (58, 48, 40), (120, 104, 90), (225, 215, 205)
_X_AXIS, _Y_AXIS = (90, 90, 240), (110, 210, 110)
_STEPS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


@dataclass(frozen=True, eq=False)
class Marked:
    """A box to draw.

    Attributes:
        box: `[7 or more]`, as in `Boxes3D`.
        text: Beside it.
        color: RGB.
    """

    box: Floats
    text: str
    color: Colour


@dataclass(frozen=True)
class BirdsEye:
    """A view from above, x to the right and y upwards.

    Attributes:
        point_cloud_range: Smallest and then largest x, y, z that are seen, in metres.
    """

    point_cloud_range: tuple[float, float, float, float, float, float]

    @property
    def scale(self) -> float:
        """Pixels a metre."""
        x1, y1, _, x2, y2, _ = self.point_cloud_range
        return _LONGER_SIDE / max(x2 - x1, y2 - y1)

    def draw(self, points: Points, marks: Sequence[Marked]) -> Image:
        """A BGR picture of points `[n, d]` and boxes, of which later ones lie on top."""
        marks = [mark for mark in marks if np.isfinite(mark.box).all()]
        canvas = self._ground()
        self._draw_points(canvas, points)
        self._draw_boxes(canvas, marks)
        half = np.array(canvas.shape[1::-1]) // _OVERSAMPLING
        picture = np.asarray(cv2.resize(canvas, half.tolist(), interpolation=cv2.INTER_AREA), np.uint8)
        self._draw_legend(picture)
        for mark in marks:
            self._draw_text(picture, mark)
        return picture

    def pixels(self, ground: NDArray[np.floating]) -> NDArray[np.float64]:
        """Where x and y in metres, `[..., 2]`, are in the picture."""
        x1, _, _, _, y2, _ = self.point_cloud_range
        metres = np.asarray(ground, np.float64)
        return np.stack([metres[..., 0] - x1, y2 - metres[..., 1]], axis=-1) * self.scale + _MARGIN

    def _fine(self, ground: NDArray[np.floating]) -> NDArray[np.int32]:
        """Pixels on the larger canvas that is drawn on first."""
        return np.rint(np.clip(self.pixels(ground) * _OVERSAMPLING, -_FARTHEST, _FARTHEST)).astype(np.int32)

    def _step(self) -> float:
        """How far apart, in metres, the lines of the grid are."""
        x1, y1, _, x2, y2, _ = self.point_cloud_range
        return next((step for step in _STEPS if max(x2 - x1, y2 - y1) / step <= 12), _STEPS[-1])

    def _ground(self) -> Image:
        """The range, with a grid and a border around it, on the larger canvas."""
        x1, y1, _, x2, y2, _ = self.point_cloud_range
        corners = self._fine(np.array([[x1, y2], [x2, y1]]))
        width, height = (corners[1] + _MARGIN * _OVERSAMPLING).tolist()
        canvas = np.full((height, width, 3), _GROUND, np.uint8)
        cv2.rectangle(canvas, corners[0].tolist(), corners[1].tolist(), _FLOOR, cv2.FILLED)
        step = self._step()
        for x in np.arange(np.ceil(x1 / step), x2 / step) * step:
            self._line(canvas, (x, y1), (x, y2), _GRID, 1)
        for y in np.arange(np.ceil(y1 / step), y2 / step) * step:
            self._line(canvas, (x1, y), (x2, y), _GRID, 1)
        cv2.rectangle(canvas, corners[0].tolist(), corners[1].tolist(), _BORDER, 2, cv2.LINE_AA)
        return canvas

    def _line(
        self, canvas: Image, start: tuple[float, float], end: tuple[float, float], color: Colour, thickness: int
    ) -> None:
        first, last = self._fine(np.array([start, end])).tolist()
        cv2.line(canvas, first, last, color, thickness, cv2.LINE_AA)

    def _draw_points(self, canvas: Image, points: Points) -> None:
        """Draw the points in range as squares of three fine pixels, coloured by height, the highest on top."""
        low, high = np.array(self.point_cloud_range).reshape(2, 3)
        seen = points[((points[:, :3] >= low) & (points[:, :3] < high)).all(axis=1)]
        seen = seen[np.argsort(seen[:, 2], kind="stable")]
        if not len(seen):
            return
        # The range of heights without the few that stand out.
        bottom, top = np.percentile(seen[:, 2], [2, 98])
        levels = np.clip((seen[:, 2] - bottom) / max(float(top - bottom), 0.5), 0, 1)
        shades = np.rint(75 + 180 * levels).astype(np.uint8)
        colors = cv2.applyColorMap(shades[:, None], cv2.COLORMAP_VIRIDIS)[:, 0]
        x, y = self._fine(seen[:, :2]).T
        for right in (-1, 0, 1):
            for down in (-1, 0, 1):
                canvas[y + down, x + right] = colors

    def _draw_boxes(self, canvas: Image, marks: Sequence[Marked]) -> None:
        """Draw the outlines, half transparent grounds, and from the middle of each a line to beyond its front."""
        filled = canvas.copy()
        outlines = [self._fine(rectangle_corners(mark.box[[0, 1, 3, 4, 6]])) for mark in marks]
        for mark, outline in zip(marks, outlines, strict=True):
            cv2.fillPoly(filled, [outline], mark.color[::-1], cv2.LINE_AA)
        cv2.addWeighted(filled, 0.3, canvas, 0.7, 0, dst=canvas)
        for mark, outline in zip(marks, outlines, strict=True):
            bright = _bright(mark.color)
            cv2.polylines(canvas, [outline], True, bright, 2 * _OVERSAMPLING - 1, cv2.LINE_AA)
            heading = np.array([np.cos(mark.box[6]), np.sin(mark.box[6])])
            front = mark.box[:2] + heading * (mark.box[3] / 2 + min(0.6, float(mark.box[3]) / 4))
            start, end = self._fine(np.stack([mark.box[:2], front])).tolist()
            cv2.line(canvas, start, end, bright, 2 * _OVERSAMPLING - 1, cv2.LINE_AA)

    def _draw_text(self, picture: Image, mark: Marked) -> None:
        """Write a box's text above it, on a ground of its colour, within the picture."""
        corners = self.pixels(rectangle_corners(mark.box[[0, 1, 3, 4, 6]]))
        (width, height), baseline = cv2.getTextSize(caption(mark.text), _FONT, 0.42, 1)
        left = round(float(np.clip(corners[:, 0].mean() - width / 2, 0, picture.shape[1] - width - 6)))
        foot = round(float(np.clip(corners[:, 1].min() - 6, height + baseline + 4, picture.shape[0])))
        top = foot - height - baseline - 2
        cv2.rectangle(picture, (left, top), (left + width + 6, foot), mark.color[::-1], cv2.FILLED)
        # Black letters on light grounds, white ones on dark, by the luminance of ITU-R BT.601.
        ink = (20, 20, 20) if np.dot(mark.color, (0.299, 0.587, 0.114)) > 140 else (255, 255, 255)
        cv2.putText(picture, caption(mark.text), (left + 3, foot - baseline), _FONT, 0.42, ink, 1, cv2.LINE_AA)

    def _draw_legend(self, picture: Image) -> None:
        """Draw the axes' directions, a scale, and the extent of the range."""
        x1, y1, _, x2, y2, _ = self.point_cloud_range
        height = picture.shape[0]
        corner = np.array([_MARGIN + 18, height - _MARGIN - 18])
        for name, direction, color in (("x", (44, 0), _X_AXIS), ("y", (0, -44), _Y_AXIS)):
            end = corner + direction
            cv2.arrowedLine(picture, corner.tolist(), end.tolist(), color, 2, cv2.LINE_AA, tipLength=0.22)
            place = end + ((6, 5) if name == "x" else (-4, -8))
            cv2.putText(picture, name, place.tolist(), _FONT, 0.5, color, 1, cv2.LINE_AA)
        right, foot = picture.shape[1] - _MARGIN, height - _MARGIN // 2
        left = right - round(self._step() * self.scale)
        cv2.line(picture, (left, foot), (right, foot), _INK, 2, cv2.LINE_AA)
        for x in (left, right):
            cv2.line(picture, (x, foot - 5), (x, foot + 5), _INK, 2, cv2.LINE_AA)
        label = f"{self._step():g} m"
        (width, _), _ = cv2.getTextSize(label, _FONT, 0.5, 1)
        cv2.putText(picture, label, (left - width - 10, foot + 5), _FONT, 0.5, _INK, 1, cv2.LINE_AA)
        extent = f"x {x1:g} to {x2:g} m,  y {y1:g} to {y2:g} m"
        cv2.putText(picture, extent, (_MARGIN, _MARGIN - 16), _FONT, 0.5, _INK, 1, cv2.LINE_AA)


def _bright(color: Colour) -> Colour:
    """An RGB colour as BGR, nearer to white: it shall stand out from a dark ground."""
    blue, green, red = (round(channel + (255 - channel) * 0.35) for channel in color[::-1])
    return blue, green, red
