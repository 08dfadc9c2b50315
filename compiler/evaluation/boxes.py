"""Where a model that looks into boxes looks: at the data set's own objects, or at what a detector found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.datasets.dataset import Dataset, Item, ObjectTruth
from compiler.datasets.files import expected, parse_json, pixels
from compiler.errors import CompileError

Floats = NDArray[np.float32]

FORM = "it is a list of COCO's results: image_id, category_id, bbox as x, y, width and height, and score"
PERSON = 1
"""The number of people among COCO's classes."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes in one image.

    Attributes:
        corners: `[n, 4]`, x1, y1, x2, y2.
        scores: `[n]`, how sure a detector is of each; None where they are known to hold something.
    """

    corners: Floats
    scores: Floats | None = None


def people_in(item: Item, width: int, height: int) -> Boxes:
    """The boxes of the people that MMPose evaluates on: those with a key point that is labelled, within the image."""
    boxes = [one.box for one in item.truth if isinstance(one, ObjectTruth) and _has_key_points(one)]
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    corners = np.clip(corners, 0, np.array([width - 1, height - 1] * 2, np.float32))
    return Boxes(corners[(corners[:, 2:] > corners[:, :2]).all(axis=1)])


def _has_key_points(truth: ObjectTruth) -> bool:
    labelled = any(point.visibility > 0 for point in truth.keypoints)
    return labelled and not truth.ignore and any(max(point.x, point.y) > 0 for point in truth.keypoints)


def read_detections(path: Path, dataset: Dataset, threshold: float) -> Mapping[str, Boxes]:
    """The people that a detector found, by the numbers of the images as text; the file is MMPose's `bbox_file`.

    Args:
        path: COCO's results in JSON.
        dataset: Whose images are looked at.
        threshold: What scores less is left out.

    Raises:
        CompileError: The file cannot be read, or names none of the images.
    """
    known = {str(item.identity) for item in dataset.items if item.identity is not None}
    found: dict[str, list[tuple[Sequence[float], float]]] = {}
    with expected(path, "results of a detector", FORM):
        for one in _records(parse_json(path)):
            image, score = _number_of(one["image_id"]), _score(one["score"])
            if int(one["category_id"]) == PERSON and score >= threshold:
                x, y, width, height = map(pixels, one["bbox"][:4])
                found.setdefault(image, []).append(((x, y, width, height), score))
    if not known & found.keys():
        raise CompileError(
            "the detector's results are of other images",
            where=f"bbox_file={path}",
            why=f"none of the numbers of its {len(found)} images is one of the data set's",
        )
    return {image: _boxes(rows) for image, rows in found.items()}


def _records(content: Any) -> list[Mapping[str, Any]]:
    if not isinstance(content, list):
        raise TypeError("it is no list")
    return content


def _number_of(image: Any) -> str:
    """The number of an image as text: some files write numbers as text where others write them as numbers."""
    if isinstance(image, bool) or not isinstance(image, int | str):
        raise TypeError(f"{image!r:.60} is no number of an image")
    return str(image)


def _score(value: Any) -> float:
    score = float(value)
    if not math.isfinite(score):
        raise ValueError(f"{value!r:.60} is no score")
    return score


def _boxes(rows: Sequence[tuple[Sequence[float], float]]) -> Boxes:
    places = np.array([box for box, _ in rows], np.float32)
    corners = np.concatenate([places[:, :2], places[:, :2] + places[:, 2:]], axis=1)
    kept = (corners[:, 2:] > corners[:, :2]).all(axis=1)
    return Boxes(corners[kept], np.array([score for _, score in rows], np.float32)[kept])
