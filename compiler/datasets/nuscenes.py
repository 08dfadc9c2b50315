"""nuScenes' scans and labels, out of its own tables of JSON: https://www.nuscenes.org/nuscenes#data-format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.datasets.dataset import Dataset, Item, Matrix, SolidTruth, Vector, WorldFrame
from compiler.datasets.files import expected, parse_json, path_within
from compiler.datasets.nuscenes_splits import SPLITS
from compiler.errors import UsageError, nearest

SCANNER = "LIDAR_TOP"
FORM = "it is a list of records with a token, as nuScenes publishes it beside its samples: v1.0-mini, v1.0-trainval"
CLASSES: Mapping[str, str] = {
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.police_officer": "pedestrian",
    "movable_object.barrier": "barrier",
    "movable_object.trafficcone": "traffic_cone",
    "vehicle.bicycle": "bicycle",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.car": "car",
    "vehicle.construction": "construction_vehicle",
    "vehicle.motorcycle": "motorcycle",
    "vehicle.trailer": "trailer",
    "vehicle.truck": "truck",
}
"""The class of the detection challenge that each category counts as; others are not looked for."""

LONGEST_STEP = 1.5
"""Seconds between two samples beyond which nothing is said of how fast an object is."""

Array = NDArray[np.float64]
Record = Mapping[str, Any]
Records = Mapping[str, Record]


@dataclass(frozen=True)
class _Tables:
    """The tables that say what is true of the samples."""

    samples: Records
    annotations: Records
    instances: Records
    categories: Records
    attributes: Records

    @classmethod
    def read(cls, folder: Path) -> _Tables:
        """The tables of a folder.

        Raises:
            CompileError: One of them is missing, or holds something else.
        """
        names = ("sample", "sample_annotation", "instance", "category", "attribute")
        return cls(*(_table(folder, name) for name in names))

    def objects(self, annotations: Sequence[Record], frame: Array) -> tuple[SolidTruth, ...]:
        """The objects of a sample, in the frame of the scanner, which lies in the world as `frame` says."""
        return tuple(self._object(one, frame) for one in annotations)

    def _object(self, annotation: Record, frame: Array) -> SolidTruth:
        """One object, out of where it is in the world: its middle, its width, length and height, and its rotation."""
        width, length, height = map(float, annotation["size"])
        placed = np.linalg.solve(frame, _pose(annotation))
        x, y, z = placed[:3, 3].tolist()
        points = int(annotation.get("num_lidar_pts", 0)) + int(annotation.get("num_radar_pts", 0))
        label = str(self.categories[self.instances[annotation["instance_token"]]["category_token"]]["name"])
        attributes = [str(self.attributes[token]["name"]) for token in annotation.get("attribute_tokens", ())]
        return SolidTruth(
            bottom=(x, y, z - height / 2),
            size=(length, width, height),
            yaw=float(np.arctan2(placed[1, 0], placed[0, 0])),
            label=CLASSES.get(label, label),
            ignore=label not in CLASSES or points == 0,
            velocity=self._velocity(annotation, frame),
            attribute=attributes[0] if attributes else "",
        )

    def _velocity(self, annotation: Record, frame: Array) -> Vector | None:
        """How fast an object is, by where it is in the samples before and after, as nuScenes' own kit estimates it."""
        before, after = annotation.get("prev"), annotation.get("next")
        first = self.annotations[before] if before else annotation
        last = self.annotations[after] if after else annotation
        seconds = (self._time(last) - self._time(first)) * 1e-6
        if not 0 < seconds <= LONGEST_STEP * (bool(before) + bool(after)):
            return None
        moved = np.subtract(last["translation"], first["translation"]) / seconds
        x, y, z = np.linalg.solve(frame[:3, :3], moved).tolist()
        return x, y, z

    def _time(self, annotation: Record) -> float:
        """In microseconds."""
        return float(self.samples[annotation["sample_token"]]["timestamp"])


def read_nuscenes(root: Path, version: str = "v1.0-mini", split: str | None = None) -> Dataset:
    """The scans of all samples, each with its objects in the frame of the scanner.

    Args:
        root: The folder that holds `samples/` and the tables.
        version: The folder of the tables within it.
        split: The scenes of one of `SPLITS` alone, such as `val`; None for all.

    Raises:
        CompileError: A table is missing, holds something else, or names a file elsewhere; or there is no such split.
    """
    tables = root / version
    scenes = None if split is None else _scenes(split)
    sensors, mounted = _table(tables, "sensor"), _table(tables, "calibrated_sensor")
    poses, scans, truth = _table(tables, "ego_pose"), _table(tables, "sample_data"), _Tables.read(tables)
    names = {} if scenes is None else _table(tables, "scene")
    annotations: dict[str, list[Record]] = {}
    with expected(tables, "tables of nuScenes", "their records name each other by tokens"):
        for one in truth.annotations.values():
            annotations.setdefault(one["sample_token"], []).append(one)
        items = []
        for scan in sorted(scans.values(), key=lambda one: one["timestamp"]):
            scanner, token = mounted[scan["calibrated_sensor_token"]], scan["sample_token"]
            if not scan["is_key_frame"] or sensors[scanner["sensor_token"]]["channel"] != SCANNER:
                continue
            if scenes is not None and names[truth.samples[token]["scene_token"]]["name"] not in scenes:
                continue
            to_vehicle, to_world = _pose(scanner), _pose(poses[scan["ego_pose_token"]])
            objects = truth.objects(annotations.get(token, ()), to_world @ to_vehicle)
            frame = WorldFrame(_rows(to_vehicle), _rows(to_world))
            items.append(Item(path_within(root, scan["filename"]), objects, str(token), frame))
    return Dataset(tuple(items), tuple(sorted(set(CLASSES.values()))))


def _scenes(split: str) -> frozenset[str]:
    """The names of the scenes of a split."""
    if split not in SPLITS:
        raise UsageError(f"nuScenes has no split '{split}' with labels", fix=nearest(split, SPLITS))
    return frozenset(f"scene-{number:04}" for number in SPLITS[split])


def _table(folder: Path, name: str) -> Records:
    """The records of a table by their tokens."""
    path = folder / f"{name}.json"
    with expected(path, "table of nuScenes", FORM):
        return {record["token"]: record for record in parse_json(path)}


def _rows(matrix: Array) -> Matrix:
    return tuple(map(tuple, matrix.tolist()))


def _pose(record: Record) -> Array:
    """`[4, 4]` out of a translation and a quaternion, whose real part comes first."""
    w, x, y, z = np.array(record["rotation"], np.float64) / np.linalg.norm(record["rotation"])
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = record["translation"]
    return pose
