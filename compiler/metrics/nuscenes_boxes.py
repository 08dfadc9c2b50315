"""Objects of nuScenes in the frame of the world: what is true and what was found, as far as either counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.datasets.dataset import SolidTruth, WorldFrame
from compiler.tasks.voxel_detection import Detection3D

Array = NDArray[np.float64]
Booleans = NDArray[np.bool_]

CLASS_RANGES: Mapping[str, float] = {
    "car": 50,
    "truck": 50,
    "bus": 50,
    "trailer": 50,
    "construction_vehicle": 50,
    "pedestrian": 40,
    "motorcycle": 40,
    "bicycle": 40,
    "traffic_cone": 30,
    "barrier": 30,
}
"""Metres from the vehicle within which objects of each class count."""
MOST_BOXES = 500
"""Of what was found in a sample, those that score most: the challenge takes no more."""
RACK = "static_object.bicycle_rack"
"""The category of what bicycles and motorcycles do not count in."""
PARKED_IN_RACKS = ("bicycle", "motorcycle")
MOVING = 0.2
"""Metres a second from which an object is taken to move."""
ATTRIBUTES: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("car", "construction_vehicle", "truck", "trailer"), ("vehicle.moving", "vehicle.parked")),
    **dict.fromkeys(("bicycle", "motorcycle"), ("cycle.with_rider", "cycle.without_rider")),
    "bus": ("vehicle.moving", "vehicle.stopped"),
    "pedestrian": ("pedestrian.moving", "pedestrian.standing"),
}
"""What an object of each class is taken to do where it moves, and where it does not, as MMDetection3D takes it."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """Objects of one sample.

    Attributes:
        names: `[n]`, their classes.
        centers: `[n, 3]`, in metres.
        sizes: `[n, 3]`: length, width and height.
        yaws: `[n]`, angles about z.
        velocities: `[n, 2]`, in metres a second; nan where that is not known.
        attributes: `[n]`, what they do; empty where that is not told.
        scores: `[n]`; 1 of what is true.
    """

    names: NDArray[np.str_]
    centers: Array
    sizes: Array
    yaws: Array
    velocities: Array
    attributes: NDArray[np.str_]
    scores: Array

    def __getitem__(self, rows: Any) -> Boxes:
        return Boxes(*(getattr(self, name)[rows] for name in Boxes.__annotations__))


def true_in_world(solids: Sequence[SolidTruth], frame: WorldFrame) -> Boxes:
    """The true objects of a sample that count: of a known class, hit by a point, near enough and in no rack."""
    placed = _true_placed(solids, frame)
    counts = np.array([not one.ignore for one in solids], bool) & _is_near(placed, frame)
    return placed[counts & ~_is_in_rack(placed, solids, frame)]


def found_in_world(found: Sequence[Detection3D], solids: Sequence[SolidTruth], frame: WorldFrame) -> Boxes:
    """What was found in a sample and counts: near enough and in none of its racks.

    Args:
        found: In the frame of the scanner.
        solids: What is true of the sample, among which are the racks.
        frame: Where the scanner is.
    """
    best = np.sort(np.argsort([-one.score for one in found], kind="stable")[:MOST_BOXES])
    kept = [found[row] for row in best]
    centers = np.array([one.center for one in kept], np.float64).reshape(-1, 3)
    velocities = np.full((len(kept), 3), np.nan)
    for row, one in enumerate(kept):
        if one.velocity is not None:
            velocities[row] = (*one.velocity, 0)
    to_world = _to_world(frame)
    moved = velocities @ to_world[:3, :3].T
    yaws = np.array([one.yaw for one in kept], np.float64)
    headings = np.stack([np.cos(yaws), np.sin(yaws), np.zeros_like(yaws)], axis=1) @ to_world[:3, :3].T
    names = np.array([one.name for one in kept], np.str_)
    placed = Boxes(
        names=names,
        centers=_moved(centers, to_world),
        sizes=np.array([one.size for one in kept], np.float64).reshape(-1, 3),
        yaws=np.arctan2(headings[:, 1], headings[:, 0]),
        velocities=moved[:, :2],
        attributes=np.array(
            [_attribute(name, speed) for name, speed in zip(names, moved[:, :2], strict=True)], np.str_
        ),
        scores=np.array([one.score for one in kept], np.float64),
    )
    ranges = np.array([CLASS_RANGES.get(str(name), 0) for name in names])
    from_vehicle = np.linalg.norm(_moved(centers, np.array(frame.to_vehicle))[:, :2], axis=1)
    counts = (from_vehicle <= ranges) & _is_near(placed, frame)
    return placed[counts & ~_is_in_rack(placed, solids, frame)]


def _true_placed(solids: Sequence[SolidTruth], frame: WorldFrame) -> Boxes:
    """All true objects of a sample, where they are in the world."""
    to_world = _to_world(frame)
    sizes = np.array([one.size for one in solids], np.float64).reshape(-1, 3)
    centers = np.array([one.bottom for one in solids], np.float64).reshape(-1, 3)
    centers[:, 2] += sizes[:, 2] / 2
    velocities = np.array([one.velocity or [np.nan] * 3 for one in solids], np.float64).reshape(-1, 3)
    yaws = np.array([one.yaw for one in solids], np.float64)
    cosine, sine = np.cos(yaws), np.sin(yaws)
    # They stand upright in the world, and so may be inclined in the frame of a scanner that is.
    inclination = -(to_world[2, 0] * cosine + to_world[2, 1] * sine) / to_world[2, 2]
    headings = np.stack([cosine, sine, inclination], axis=1) @ to_world[:3, :3].T
    return Boxes(
        names=np.array([one.label for one in solids], np.str_),
        centers=_moved(centers, to_world),
        sizes=sizes,
        yaws=np.arctan2(headings[:, 1], headings[:, 0]),
        velocities=(velocities @ to_world[:3, :3].T)[:, :2],
        attributes=np.array([one.attribute for one in solids], np.str_),
        scores=np.ones(len(solids)),
    )


def _to_world(frame: WorldFrame) -> Array:
    """From the scanner to the world, `[4, 4]`."""
    return np.asarray(np.array(frame.to_world) @ np.array(frame.to_vehicle), np.float64)


def _moved(points: Array, frame: Array) -> Array:
    return np.asarray(points @ frame[:3, :3].T + frame[:3, 3], np.float64)


def _is_near(boxes: Boxes, frame: WorldFrame) -> Booleans:
    """Which objects are as near to the vehicle as their class asks for."""
    vehicle = np.array(frame.to_world)[:2, 3]
    ranges = np.array([CLASS_RANGES.get(str(name), 0) for name in boxes.names])
    return np.asarray(np.linalg.norm(boxes.centers[:, :2] - vehicle, axis=1) < ranges)


def _is_in_rack(boxes: Boxes, solids: Sequence[SolidTruth], frame: WorldFrame) -> Booleans:
    """Which bicycles and motorcycles have their middle in a rack."""
    racks = _true_placed([one for one in solids if one.label == RACK], frame)
    apart = boxes.centers[:, None] - racks.centers[None]
    cosine, sine = np.cos(racks.yaws), np.sin(racks.yaws)
    along, across = (apart[..., 0] * a + apart[..., 1] * b for a, b in ((cosine, sine), (-sine, cosine)))
    distances = np.abs(np.stack([along, across, apart[..., 2]], axis=-1))
    outside = np.asarray(distances > racks.sizes / 2).sum(axis=-1)
    return np.asarray((outside == 0).any(axis=1) & np.isin(boxes.names, PARKED_IN_RACKS))


def _attribute(name: str, velocity: Array) -> str:
    """What an object is taken to do, by how fast it is; empty for classes that do nothing."""
    moving, standing = ATTRIBUTES.get(name, ("", ""))
    return moving if np.hypot(*velocity) > MOVING else standing
