"""A data set, whatever format it was read from: files, and what is true of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""
Point = tuple[float, float]
"""x, y in pixels."""
Vector = tuple[float, float, float]
"""x, y, z in metres."""
Matrix = tuple[tuple[float, ...], ...]
"""Rows of numbers, which lead from one frame into another."""


@dataclass(frozen=True)
class KeypointTruth:
    """Where a key point is.

    Attributes:
        x: In pixels.
        y: In pixels.
        visibility: 0 where it is not labelled, 1 where it is hidden, 2 where it is seen.
    """

    x: float
    y: float
    visibility: int


@dataclass(frozen=True)
class ObjectTruth:
    """One object in an image.

    Attributes:
        box: Around it.
        label: Name of its class; empty where classes are not told apart.
        ignore: Whether an evaluation leaves it out: a crowd, say.
        area: Of what is seen of it, in square pixels.
        keypoints: In the order of `Dataset.keypoints`; none where they are not labelled.
    """

    box: Box
    label: str = ""
    ignore: bool = False
    area: float = 0.0
    keypoints: tuple[KeypointTruth, ...] = ()


@dataclass(frozen=True)
class TextTruth:
    """One word or line of text in an image.

    Attributes:
        text: Its characters; None where they are not told.
        polygon: Around it; no point where it is the whole image.
        ignore: Whether an evaluation leaves it out: it cannot be read.
    """

    text: str | None
    polygon: tuple[Point, ...] = ()
    ignore: bool = False

    @property
    def box(self) -> Box | None:
        """Around the polygon; None for the whole image."""
        if not self.polygon:
            return None
        xs, ys = zip(*self.polygon, strict=True)
        return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True)
class SolidTruth:
    """One object in a point cloud, in the frame of its points.

    Attributes:
        bottom: The middle of its box's bottom.
        size: Length along x, width along y and height before it is turned, in metres.
        yaw: Angle in radians by which it is turned about z, from x towards y.
        label: Name of its class.
        ignore: Whether an evaluation leaves it out: a class that is not looked for, or an object that no point hits.
        image_box: Around it in the image of the camera; None where there is none.
        truncation: The share of it that lies outside of that image.
        occlusion: 0 where it is all seen, 1 where partly, 2 where largely hidden, 3 where that is not known.
        velocity: In metres a second; None where that is not known.
        attribute: What it is doing, such as `vehicle.parked`; empty where that is not told.
    """

    bottom: Vector
    size: Vector
    yaw: float
    label: str
    ignore: bool = False
    image_box: Box | None = None
    truncation: float = 0.0
    occlusion: int = 0
    velocity: Vector | None = None
    attribute: str = ""

    @property
    def box(self) -> None:
        """None: clouds are looked at as a whole."""


GroundTruth = ObjectTruth | TextTruth | SolidTruth


@dataclass(frozen=True)
class CameraFrame:
    """Where the camera is that a point cloud's labels were drawn in the image of.

    Attributes:
        to_camera: From the scanner to the camera, 4 by 4; the camera's y is downwards, and its z forward.
        projection: From there to the image, 3 by 4.
        size: Width and height of the image in pixels; None where it is not there.
    """

    to_camera: Matrix
    projection: Matrix
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class WorldFrame:
    """Where in the world a point cloud was scanned.

    Attributes:
        to_vehicle: From the scanner to the vehicle, 4 by 4.
        to_world: From the vehicle to the world, 4 by 4.
    """

    to_vehicle: Matrix
    to_world: Matrix


@dataclass(frozen=True)
class Item:
    """One file of a data set.

    Attributes:
        path: The file.
        truth: What is to be found in it; nothing where that is not told.
        identity: What the data set's own files call it: the number of COCO's image, the token of nuScenes' sample. Its
            results are handed in under it; None where its file's name is all that it is called.
        frame: How its frame lies in the one that it is measured in, of a point cloud; None where that is not known.
    """

    path: Path
    truth: tuple[GroundTruth, ...] = ()
    identity: int | str | None = None
    frame: CameraFrame | WorldFrame | None = None

    @property
    def boxes(self) -> tuple[Box, ...] | None:
        """Around each of `boxed`, which may be none; None for the whole file, where nothing in it has a box."""
        if all(one.box is None for one in self.truth):
            return None
        return tuple(one.box for one in self.boxed if one.box is not None)

    @property
    def boxed(self) -> tuple[GroundTruth, ...]:
        """What is to be found and not ignored, where its box has an area."""
        return tuple(one for one in self.truth if not one.ignore and one.box is not None and _has_area(one.box))


def _has_area(box: Box) -> bool:
    return box[2] > box[0] and box[3] > box[1]


@dataclass(frozen=True)
class Dataset:
    """Files, and what is true of each.

    Attributes:
        items: In the order in which the data set lists them.
        classes: Names of the classes, in its order; none where they are not told apart.
        keypoints: Names of the key points of an object, in its order; none where there are none.
        class_numbers: What the data set's own files call each of the classes; none where they have names only.
    """

    items: tuple[Item, ...]
    classes: tuple[str, ...] = ()
    keypoints: tuple[str, ...] = ()
    class_numbers: tuple[int, ...] = ()
