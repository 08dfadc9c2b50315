"""Objects in KITTI's frames, in the frame of the camera: what is true, what was found, and how far both overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from compiler.datasets.dataset import CameraFrame, SolidTruth
from compiler.tasks.voxel_detection import Detection3D
from compiler.tasks.voxel_detection.nms import shared_areas

Array = NDArray[np.float64]
Strings = NDArray[np.str_]

USUAL_SIZE = (1242, 375)
"""Width and height of KITTI's images, where an image is not there to be looked at."""
_FROM_ABOVE = [0, 2, 3, 5, 6]


@dataclass(frozen=True, eq=False)
class Solids:
    """Objects of one frame.

    Attributes:
        spellings: Names of their classes.
        boxes: `[n, 7]`: x, y, z of the middle of the bottom; length, height, width; and the angle about y, from z
            towards x.
        image_boxes: `[n, 4]`, x1, y1, x2, y2 in the image.
    """

    spellings: tuple[str, ...]
    boxes: Array
    image_boxes: Array

    @cached_property
    def names(self) -> Strings:
        """Names of their classes in small letters, `[n]`."""
        return np.array([one.lower() for one in self.spellings], np.str_)

    @property
    def heights(self) -> Array:
        """Of their boxes in the image, `[n]`."""
        return self.image_boxes[:, 3] - self.image_boxes[:, 1]


@dataclass(frozen=True, eq=False)
class Truth(Solids):
    """What is true.

    Attributes:
        truncation: `[n]`, the share of each that lies outside of the image.
        occlusion: `[n]`, how far each is hidden.
    """

    truncation: Array
    occlusion: Array


@dataclass(frozen=True, eq=False)
class Found(Solids):
    """What was found, where the camera sees it.

    Attributes:
        scores: `[n]`.
        angles: `[n]`, that each is seen at: its own without the direction in which it lies.
    """

    scores: Array
    angles: Array


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame."""

    truth: Truth
    found: Found

    @cached_property
    def overlaps(self) -> Mapping[str, Array]:
        """The intersection over union of each that was found with each that is true, `[f, t]`, by measure."""
        from_above = shared_areas(_rectangles(self.found.boxes), _rectangles(self.truth.boxes))
        in_space = from_above * _shared_heights(self.found.boxes, self.truth.boxes)
        in_image = _shared_in_image(self.found.image_boxes, self.truth.image_boxes)
        return {
            "3D": _over_union(in_space, _volumes(self.found.boxes), _volumes(self.truth.boxes)),
            "BEV": _over_union(from_above, _areas(self.found.boxes), _areas(self.truth.boxes)),
            "2D": _over_union(in_image, _image_areas(self.found.image_boxes), _image_areas(self.truth.image_boxes)),
        }

    @cached_property
    def shares(self) -> Array:
        """The share of each box in the image of what was found that lies in each true one, `[f, t]`."""
        shared = _shared_in_image(self.found.image_boxes, self.truth.image_boxes)
        own = np.broadcast_to(_image_areas(self.found.image_boxes)[:, None], shared.shape)
        return np.divide(shared, own, out=np.zeros_like(shared), where=own > 0)


def true_in_frame(solids: Sequence[SolidTruth], frame: CameraFrame) -> Truth:
    """What is true of a frame."""
    boxes = np.array([[*one.bottom, *one.size, one.yaw] for one in solids], np.float64).reshape(-1, 7)
    image_boxes = np.array([one.image_box or (0, 0, 0, 0) for one in solids], np.float64).reshape(-1, 4)
    return Truth(
        spellings=tuple(one.label for one in solids),
        boxes=_to_camera(boxes, frame),
        image_boxes=image_boxes,
        truncation=np.array([one.truncation for one in solids], np.float64),
        occlusion=np.array([one.occlusion for one in solids], np.float64),
    )


def found_in_frame(found: Sequence[Detection3D], frame: CameraFrame, limits: Sequence[float]) -> Found:
    """What was found in a frame, without what the camera does not see and what is out of limits.

    Args:
        found: In the frame of the scanner.
        frame: Where the camera is.
        limits: Smallest and then largest x, y, z of the bottom, for the scanner.
    """
    scanned = np.array([one.box for one in found], np.float64).reshape(-1, 7)
    boxes = _to_camera(scanned, frame)
    image_boxes = _in_image(boxes, frame)
    width, height = frame.size or USUAL_SIZE
    low, high = np.array(limits, np.float64).reshape(2, 3)
    is_within = ((scanned[:, :3] > low) & (scanned[:, :3] < high)).all(axis=1)
    is_seen = (image_boxes[:, :2] < (width, height)).all(axis=1) & (image_boxes[:, 2:] > 0).all(axis=1)
    rows = np.flatnonzero(is_within & is_seen).tolist()
    image_boxes[:, :2] = np.maximum(image_boxes[:, :2], 0)
    image_boxes[:, 2:] = np.minimum(image_boxes[:, 2:], (width, height))
    return Found(
        spellings=tuple(found[row].name for row in rows),
        boxes=boxes[rows],
        image_boxes=image_boxes[rows],
        scores=np.array([found[row].score for row in rows], np.float64),
        angles=(boxes[:, 6] - np.arctan2(-scanned[:, 1], scanned[:, 0]))[rows],
    )


def _to_camera(boxes: Array, frame: CameraFrame) -> Array:
    """Boxes `[n, 7]` in the frame of the scanner as `Solids` has them."""
    places = np.concatenate([boxes[:, :3], np.ones((len(boxes), 1))], axis=1) @ np.array(frame.to_camera).T
    angles = (-boxes[:, 6:] - np.pi / 2 + np.pi) % (2 * np.pi) - np.pi
    return np.concatenate([places[:, :3], boxes[:, [3, 5, 4]], angles], axis=1)


def _in_image(boxes: Array, frame: CameraFrame) -> Array:
    """Boxes around the projected corners of boxes, `[n, 4]`."""
    cosine, sine = np.cos(boxes[:, 6, None]), np.sin(boxes[:, 6, None])
    along, across = (boxes[:, [side]] / 2 * np.array(signs) for side, signs in _CORNERS)
    x = boxes[:, [0]] + along * cosine + across * sine
    y = boxes[:, [1]] - boxes[:, [4]] * np.array([0, 0, 0, 0, 1, 1, 1, 1])
    z = boxes[:, [2]] - along * sine + across * cosine
    corners = np.stack([x, y, z, np.ones_like(x)], axis=-1) @ np.array(frame.projection).T
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = corners[..., :2] / corners[..., 2:]
    return np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)


_CORNERS = ((3, (1, 1, -1, -1, 1, 1, -1, -1)), (5, (1, -1, -1, 1, 1, -1, -1, 1)))
"""The columns of length and width, and on which side of them each corner lies."""


def _rectangles(boxes: Array) -> Array:
    """Boxes from above, `[n, 5]`; their angle is from x towards z."""
    return boxes[:, _FROM_ABOVE] * (1, 1, 1, 1, -1)


def _shared_heights(a: Array, b: Array) -> Array:
    """How much of their heights boxes share, `[n, m]`; y is downwards."""
    bottoms = np.minimum(a[:, None, 1], b[None, :, 1])
    tops = np.maximum((a[:, 1] - a[:, 4])[:, None], b[:, 1] - b[:, 4])
    return np.asarray(np.maximum(bottoms - tops, 0))


def _shared_in_image(a: Array, b: Array) -> Array:
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared: Array = np.maximum(sides, 0).prod(axis=-1)
    return shared


def _over_union(shared: Array, of_found: Array, of_true: Array) -> Array:
    union = of_found[:, None] + of_true - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _volumes(boxes: Array) -> Array:
    volumes: Array = boxes[:, 3:6].prod(axis=1)
    return volumes


def _areas(boxes: Array) -> Array:
    return np.asarray(boxes[:, 3] * boxes[:, 5])


def _image_areas(boxes: Array) -> Array:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
