"""Boxes in space that stand upright, as MMDetection3D has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_SEEN_FROM_ABOVE = [0, 1, 3, 4, 6]
# The corners of a rectangle of sides 1 around the origin, counter-clockwise.
_UNIT_SQUARE = np.array([[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]])


@dataclass(frozen=True, eq=False)
class Boxes3D:
    """Boxes with their classes.

    Attributes:
        boxes: `[n, 7 or 9]`: x, y, z of the middle of the bottom; length along x, width along y and height of the box
            before it is turned; the angle by which it is turned about z, from x towards y; and velocity along x and y.
        scores: `[n]`.
        labels: `[n]`, index of each class.
    """

    boxes: Floats
    scores: Floats
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Any) -> Boxes3D:
        return Boxes3D(self.boxes[rows], self.scores[rows], self.labels[rows])

    @property
    def rectangles(self) -> Floats:
        """The boxes seen from above, `[n, 5]`: x, y, length, width and angle."""
        return self.boxes[:, _SEEN_FROM_ABOVE]


def concatenate(parts: list[Boxes3D]) -> Boxes3D:
    """All boxes of several lists, of which there is at least one."""
    return Boxes3D(*(np.concatenate([getattr(part, name) for part in parts]) for name in Boxes3D.__annotations__))


def rectangle_corners(rectangles: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The corners of rectangles `[..., 5]` as `[..., 4, 2]`, from the front left one counter-clockwise."""
    center, sides, angle = np.split(np.asarray(rectangles, np.float64)[..., None, :], [2, 4], axis=-1)
    along, across = np.split(_UNIT_SQUARE * sides, 2, axis=-1)
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = np.concatenate([along * cosine - across * sine, along * sine + across * cosine], axis=-1)
    return np.asarray(center + turned, np.float64)


def box_corners(boxes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The corners of boxes `[..., 7 or more]` as `[..., 8, 3]`: those of the bottom, then those of the top."""
    ground = rectangle_corners(boxes[..., _SEEN_FROM_ABOVE])
    bottom = np.broadcast_to(np.asarray(boxes[..., 2, None, None], np.float64), (*ground.shape[:-1], 1))
    top = bottom + boxes[..., 5, None, None]
    return np.concatenate([np.concatenate([ground, z], axis=-1) for z in (bottom, top)], axis=-2)
