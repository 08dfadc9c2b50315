"""COCO's annotations of objects and of key points: https://cocodataset.org/#format-data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compiler.datasets.dataset import Dataset, Item, KeypointTruth, ObjectTruth
from compiler.datasets.files import distinct, expected, parse_json, path_within, pixels, square_pixels

KIND = "COCO annotations"
FORM = "they have images with file_name and id, and annotations with image_id and bbox; MMOCR's, a data_list"


def read_coco(annotations: Path, images: Path) -> Dataset:
    """The images of COCO's annotations, each with its objects.

    Args:
        annotations: The file, such as `instances_val2017.json`.
        images: The folder that the images' names are seen from.

    Raises:
        CompileError: The file cannot be read, holds something else, or names a file elsewhere.
    """
    with expected(annotations, KIND, FORM):
        return coco_dataset(parse_json(annotations), images)


def coco_dataset(content: Any, images: Path) -> Dataset:
    """The data set in annotations that are read already.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: They are none.
    """
    categories = sorted(content.get("categories") or (), key=lambda one: int(one["id"]))
    names = {one["id"]: str(one["name"]) for one in categories}
    truth: dict[Any, list[ObjectTruth]] = {}
    for annotation in content.get("annotations", ()):
        truth.setdefault(annotation["image_id"], []).append(_object(annotation, names))
    items = tuple(
        Item(path_within(images, one["file_name"]), tuple(truth.get(one["id"], ())), _identity(one["id"]))
        for one in content["images"]
    )
    keypoints = next((tuple(map(str, one["keypoints"])) for one in categories if one.get("keypoints")), ())
    return Dataset(items, distinct(tuple(names.values())), keypoints, tuple(map(int, names)))


def _identity(value: Any) -> int | str:
    """The number of an image; some write it as text."""
    return value if isinstance(value, int) else str(value)


def _object(annotation: Mapping[str, Any], names: Mapping[Any, str]) -> ObjectTruth:
    x, y, width, height = map(pixels, annotation["bbox"])
    category, area = annotation.get("category_id"), annotation.get("area")
    return ObjectTruth(
        box=(x, y, x + width, y + height),
        label="" if category is None or not names else names[category],
        ignore=bool(annotation.get("iscrowd", 0)),
        area=square_pixels(area) if isinstance(area, int | float) else width * height,
        keypoints=_keypoints(annotation.get("keypoints") or ()),
    )


def _keypoints(numbers: Sequence[float]) -> tuple[KeypointTruth, ...]:
    """Key points out of x, y and visibility of each in turn."""
    if len(numbers) % 3:
        raise ValueError(f"keypoints are {len(numbers)} numbers, which are no triples of x, y and visibility")
    triples = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
    return tuple(KeypointTruth(pixels(x), pixels(y), int(visibility)) for x, y, visibility in triples)
