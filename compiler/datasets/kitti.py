"""KITTI's scans and labels: https://www.cvlibs.net/datasets/kitti/eval_object.php, its development kit's readme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compiler.datasets.dataset import Dataset, Item, SolidTruth
from compiler.datasets.files import expected, find_files, read_lines

DONT_CARE = "DontCare"
"""Regions of the image in which objects are not labelled."""
FIELDS = 15
LABEL_FORM = (
    "each line is a type, truncation, occlusion, alpha, a box of 4, height, width, length, x, y, z and rotation"
)
CALIBRATION_FORM = "it has lines R0_rect: and Tr_velo_to_cam: with 9 and 12 numbers"


def read_kitti(root: Path, frames: Path | None = None) -> Dataset:
    """The scans in `velodyne/`, each with the objects in `label_2/`, moved by `calib/` into the frame of the scanner.

    Args:
        root: Such as `training`.
        frames: A list of frames, such as `ImageSets/val.txt`; None for all scans.

    Raises:
        CompileError: A file cannot be read, or holds something else.
    """
    if frames is None:
        names = [path.stem for path in find_files(root / "velodyne", (".bin",))]
    else:
        with expected(frames, "frames of KITTI", "each line is the number of a frame"):
            names = [_frame(line) for line in read_lines(frames)]
    items = tuple(Item(root / "velodyne" / f"{name}.bin", _objects(root, name)) for name in names)
    classes = sorted({one.label for item in items for one in item.truth if isinstance(one, SolidTruth)} - {DONT_CARE})
    return Dataset(items, tuple(classes))


@dataclass(frozen=True, eq=False)
class _Calibration:
    """From the scanner to the rectified camera, `[4, 4]`."""

    to_camera: NDArray[np.float64]

    def to_scanner(self, point: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, z, _ = np.linalg.solve(self.to_camera, [*point, 1.0]).tolist()
        return x, y, z


def _frame(line: str) -> str:
    """The number of a frame, which names its files."""
    if Path(line).name != line or line == "..":
        raise ValueError(f"the line {line!r:.60} is no number of a frame")
    return line


def _objects(root: Path, name: str) -> tuple[SolidTruth, ...]:
    calibration, labels = root / "calib" / f"{name}.txt", root / "label_2" / f"{name}.txt"
    with expected(calibration, "calibration of KITTI", CALIBRATION_FORM):
        frame = _calibration(dict(line.split(":", 1) for line in read_lines(calibration)))
    with expected(labels, "labels of KITTI", LABEL_FORM):
        return tuple(_object(line, frame) for line in read_lines(labels))


def _calibration(lines: Mapping[str, str]) -> _Calibration:
    rectified, to_camera = np.eye(4), np.eye(4)
    rectified[:3, :3] = np.array(lines["R0_rect"].split(), np.float64).reshape(3, 3)
    to_camera[:3] = np.array(lines["Tr_velo_to_cam"].split(), np.float64).reshape(3, 4)
    return _Calibration(rectified @ to_camera)


def _object(line: str, calibration: _Calibration) -> SolidTruth:
    """One object. A label's place is the middle of the bottom too, in the camera's frame, whose y is downwards."""
    label, *fields = line.split()
    if len(fields) < FIELDS - 1:
        raise ValueError(f"the line {line!r} has {len(fields) + 1} fields, not {FIELDS}")
    numbers = list(map(float, fields[: FIELDS - 1]))
    truncation, occlusion, _, left, top, right, bottom, height, width, length, x, y, z, rotation = numbers
    return SolidTruth(
        bottom=calibration.to_scanner((x, y, z)),
        size=(length, width, height),
        # About the camera's y, from its z towards x; the scanner looks along x, with y to the left.
        yaw=_within_a_turn(-rotation - np.pi / 2),
        label=label,
        ignore=label == DONT_CARE,
        image_box=(left, top, right, bottom),
        truncation=truncation,
        occlusion=int(occlusion),
    )


def _within_a_turn(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)
