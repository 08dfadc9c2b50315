"""KITTI's scans and labels: https://www.cvlibs.net/datasets/kitti/eval_object.php, its development kit's readme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compiler.datasets.dataset import Box, CameraFrame, Dataset, Item, Matrix, ObjectTruth, SolidTruth
from compiler.datasets.files import expected, find_files, pixels, read_lines
from compiler.tasks.images import image_size

DONT_CARE = "DontCare"
"""Regions of the image in which objects are not labelled."""
FIELDS = 15
LABEL_FORM = (
    "each line is a type, truncation, occlusion, alpha, a box of 4, height, width, length, x, y, z and rotation"
)
CALIBRATION_FORM = "it has lines R0_rect: and Tr_velo_to_cam: with 9 and 12 numbers, and for the image P2: with 12"


def read_kitti(root: Path, frames: Path | None = None, scans: str = "velodyne") -> Dataset:
    """The scans in a folder, each with the objects in `label_2/`, moved by `calib/` into the frame of the scanner.

    Args:
        root: Such as `training`, or `testing`, which has no labels.
        frames: A list of frames, such as `ImageSets/val.txt`; None for all scans. The images in `image_2/` are looked
            at for their sizes alone, where they are there.
        scans: The folder of the scans; MMDetection3D writes those points that the camera sees to `velodyne_reduced`.

    Raises:
        CompileError: A file cannot be read, or holds something else.
    """
    names = _names(root / scans, ".bin", frames)
    items = tuple(_item(root, scans, name) for name in names)
    classes = sorted({one.label for item in items for one in item.truth if isinstance(one, SolidTruth)} - {DONT_CARE})
    return Dataset(items, tuple(classes))


def read_kitti_images(root: Path, frames: Path | None = None) -> Dataset:
    """The images in `image_2/`, each with the boxes of its objects in `label_2/`; a region is ignored for every class.

    Args:
        root: Such as `training`.
        frames: A list of frames, such as `ImageSets/val.txt`; None for all images.

    Raises:
        CompileError: A file cannot be read, or holds something else.
    """
    found = {}
    for name in _names(root / "image_2", ".png", frames):
        labels = root / "label_2" / f"{name}.txt"
        with expected(labels, "labels of KITTI", LABEL_FORM):
            found[name] = [_boxed(line) for line in read_lines(labels)]
    classes = tuple(sorted({label for boxes in found.values() for label, _ in boxes} - {DONT_CARE}))
    items = (Item(root / "image_2" / f"{name}.png", _in_image(boxes, classes), name) for name, boxes in found.items())
    return Dataset(tuple(items), classes)


def _names(folder: Path, suffix: str, frames: Path | None) -> list[str]:
    """The numbers of the frames of a list, or of a folder."""
    if frames is None:
        return [path.stem for path in find_files(folder, (suffix,))]
    with expected(frames, "frames of KITTI", "each line is the number of a frame"):
        return [_frame(line) for line in read_lines(frames)]


def _boxed(line: str) -> tuple[str, Box]:
    label, *fields = line.split()
    left, top, right, bottom = map(pixels, fields[3:7])
    return label, (left, top, right, bottom)


def _in_image(boxes: Sequence[tuple[str, Box]], classes: Sequence[str]) -> tuple[ObjectTruth, ...]:
    return tuple(
        ObjectTruth(box, name, ignore=label == DONT_CARE, area=(box[2] - box[0]) * (box[3] - box[1]))
        for label, box in boxes
        for name in (classes if label == DONT_CARE else (label,))
    )


def _frame(line: str) -> str:
    """The number of a frame, which names its files."""
    if Path(line).name != line or line == "..":
        raise ValueError(f"the line {line!r:.60} is no number of a frame")
    return line


def _item(root: Path, scans: str, name: str) -> Item:
    calibration, image = root / "calib" / f"{name}.txt", root / "image_2" / f"{name}.png"
    with expected(calibration, "calibration of KITTI", CALIBRATION_FORM):
        numbers = dict(line.split(":", 1) for line in read_lines(calibration))
        to_camera = _to_camera(numbers)
        projection = _rows(_matrix(numbers["P2"], 3, 4)) if "P2" in numbers else None
    size = image_size(image) if image.is_file() else None
    frame = CameraFrame(_rows(to_camera), projection, size) if projection else None
    return Item(root / scans / f"{name}.bin", _objects(root / "label_2" / f"{name}.txt", to_camera), name, frame)


def _objects(labels: Path, to_camera: NDArray[np.float64]) -> tuple[SolidTruth, ...]:
    """What is true of a frame; nothing of those that are tested on, which have no folder of labels."""
    if not labels.parent.exists():
        return ()
    with expected(labels, "labels of KITTI", LABEL_FORM):
        return tuple(_object(line, to_camera) for line in read_lines(labels))


def _to_camera(numbers: Mapping[str, str]) -> NDArray[np.float64]:
    """From the scanner to the rectified camera, `[4, 4]`."""
    rectified, to_camera = np.eye(4), np.eye(4)
    rectified[:3, :3] = _matrix(numbers["R0_rect"], 3, 3)
    to_camera[:3] = _matrix(numbers["Tr_velo_to_cam"], 3, 4)
    return rectified @ to_camera


def _matrix(numbers: str, rows: int, columns: int) -> NDArray[np.float64]:
    return np.array(numbers.split(), np.float64).reshape(rows, columns)


def _rows(matrix: NDArray[np.float64]) -> Matrix:
    return tuple(map(tuple, matrix.tolist()))


def _object(line: str, to_camera: NDArray[np.float64]) -> SolidTruth:
    """One object. A label's place is the middle of the bottom too, in the camera's frame, whose y is downwards."""
    label, *fields = line.split()
    if len(fields) < FIELDS - 1:
        raise ValueError(f"the line {line!r} has {len(fields) + 1} fields, not {FIELDS}")
    numbers = list(map(float, fields[: FIELDS - 1]))
    truncation, occlusion, _, *image_box, height, width, length, x, y, z, rotation = numbers
    bottom = np.linalg.solve(to_camera, [x, y, z, 1.0]).tolist()
    return SolidTruth(
        bottom=(bottom[0], bottom[1], bottom[2]),
        size=(length, width, height),
        # About the camera's y, from its z towards x; the scanner looks along x, with y to the left.
        yaw=_within_a_turn(-rotation - np.pi / 2),
        label=label,
        ignore=label == DONT_CARE,
        image_box=(image_box[0], image_box[1], image_box[2], image_box[3]),
        truncation=truncation,
        occlusion=int(occlusion),
    )


def _within_a_turn(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)
