"""nuScenes' scans and labels, out of its own tables of JSON: https://www.nuscenes.org/nuscenes#data-format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.datasets.dataset import Dataset, Item, SolidTruth
from compiler.datasets.files import expected, parse_json

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

Records = Mapping[str, Mapping[str, Any]]


def read_nuscenes(root: Path, version: str = "v1.0-mini") -> Dataset:
    """The scans of all samples, each with its objects in the frame of the scanner.

    Args:
        root: The folder that holds `samples/` and the tables.
        version: The folder of the tables within it.

    Raises:
        CompileError: A table is missing, or holds something else.
    """
    tables = root / version
    sensors, mounted = _table(tables, "sensor"), _table(tables, "calibrated_sensor")
    poses, categories = _table(tables, "ego_pose"), _table(tables, "category")
    instances, scans = _table(tables, "instance"), _table(tables, "sample_data")
    annotations: dict[str, list[Mapping[str, Any]]] = {}
    with expected(tables, "tables of nuScenes", "their records name each other by tokens"):
        for one in _table(tables, "sample_annotation").values():
            annotations.setdefault(one["sample_token"], []).append(one)
        items = []
        for scan in sorted(scans.values(), key=lambda one: one["timestamp"]):
            scanner = mounted[scan["calibrated_sensor_token"]]
            if not scan["is_key_frame"] or sensors[scanner["sensor_token"]]["channel"] != SCANNER:
                continue
            frame = _pose(poses[scan["ego_pose_token"]]) @ _pose(scanner)
            of_sample = annotations.get(scan["sample_token"], ())
            truth = tuple(
                _object(one, categories[instances[one["instance_token"]]["category_token"]], frame) for one in of_sample
            )
            items.append(Item(root / scan["filename"], truth))
    return Dataset(tuple(items), tuple(dict.fromkeys(sorted(CLASSES.values()))))


def _table(folder: Path, name: str) -> Records:
    """The records of a table by their tokens."""
    path = folder / f"{name}.json"
    with expected(path, "table of nuScenes", FORM):
        return {record["token"]: record for record in parse_json(path)}


def _object(annotation: Mapping[str, Any], category: Mapping[str, Any], frame: NDArray[np.float64]) -> SolidTruth:
    """One object, out of where it is in the world: its middle, its width, length and height, and how it is turned."""
    width, length, height = map(float, annotation["size"])
    placed = np.linalg.solve(frame, _pose(annotation))
    x, y, z = placed[:3, 3].tolist()
    points = int(annotation.get("num_lidar_pts", 0)) + int(annotation.get("num_radar_pts", 0))
    label = str(category["name"])
    return SolidTruth(
        bottom=(x, y, z - height / 2),
        size=(length, width, height),
        yaw=float(np.arctan2(placed[1, 0], placed[0, 0])),
        label=CLASSES.get(label, label),
        ignore=label not in CLASSES or points == 0,
    )


def _pose(record: Mapping[str, Any]) -> NDArray[np.float64]:
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
