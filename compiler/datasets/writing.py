"""Data sets as COCO's and MMOCR's annotations say them, which is what an evaluation and a calibration read."""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from compiler.datasets.dataset import Dataset, Item, KeypointTruth, ObjectTruth, TextTruth
from compiler.errors import CompileError
from compiler.tasks.images import image_size

DETECTION = {"dataset_type": "TextDetDataset", "task_name": "textdet", "category": [{"id": 0, "name": "text"}]}
RECOGNITION = {"dataset_type": "TextRecogDataset", "task_name": "textrecog"}


def coco_content(dataset: Dataset, folder: Path) -> dict[str, Any]:
    """Objects as COCO has them: https://cocodataset.org/#format-data.

    Args:
        dataset: Of images.
        folder: That the names of the images are seen from.

    Raises:
        CompileError: An image is missing, is none, or lies elsewhere.
    """
    numbers = {name: number for number, name in enumerate(dataset.classes, 1)}
    kinds = {"keypoints": list(dataset.keypoints), "skeleton": []} if dataset.keypoints else {}
    objects = [
        (number, one)
        for number, item in enumerate(dataset.items, 1)
        for one in item.truth
        if isinstance(one, ObjectTruth)
    ]
    return {
        "images": [{"id": number, **_file(item, "file_name", folder)} for number, item in enumerate(dataset.items, 1)],
        "categories": [{"id": number, "name": name, "supercategory": "", **kinds} for name, number in numbers.items()],
        "annotations": [
            {"id": number, "image_id": image, "category_id": numbers[one.label], **_object(one)}
            for number, (image, one) in enumerate(objects, 1)
        ],
    }


def mmocr_content(dataset: Dataset, folder: Path) -> dict[str, Any]:
    """Texts as MMOCR has them: https://mmocr.readthedocs.io/en/dev-1.x/migration/dataset.html.

    Args:
        dataset: Of images, or of words that are images of their own.
        folder: That the names of the images are seen from.

    Raises:
        CompileError: An image is missing, is none, or lies elsewhere.
    """
    texts = [[one for one in item.truth if isinstance(one, TextTruth)] for item in dataset.items]
    has_places = any(one.polygon for of_image in texts for one in of_image)
    return {
        "metainfo": DETECTION if has_places else RECOGNITION,
        "data_list": [
            {**_file(item, "img_path", folder), "instances": [_text(one) for one in of_image]}
            for item, of_image in zip(dataset.items, texts, strict=True)
        ],
    }


def _file(item: Item, key: str, folder: Path) -> dict[str, Any]:
    """The name and the size of an image."""
    name = Path(os.path.relpath(item.path, folder))
    if name.parts[:1] == ("..",):
        raise CompileError(
            "an image does not lie below the folder of the annotations",
            where=str(item.path),
            why=f"annotations in {folder} name images below it: nobody follows a name out of there",
            fix="write them into the folder of the data set, or into one above it",
        )
    width, height = image_size(item.path)
    return {key: name.as_posix(), "width": width, "height": height}


def _object(one: ObjectTruth) -> dict[str, Any]:
    x1, y1, x2, y2 = one.box
    described: dict[str, Any] = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": one.area, "iscrowd": int(one.ignore)}
    if one.keypoints:
        seen = sum(point.visibility > 0 for point in one.keypoints)
        described |= {"keypoints": list(_triples(one.keypoints)), "num_keypoints": seen}
    return described


def _triples(keypoints: Sequence[KeypointTruth]) -> Iterator[float]:
    for point in keypoints:
        yield from (point.x, point.y, point.visibility)


def _text(one: TextTruth) -> dict[str, Any]:
    described: dict[str, Any] = {"ignore": one.ignore}
    if one.text is not None:
        described["text"] = one.text
    if one.box is not None:
        polygon = [coordinate for point in one.polygon for coordinate in point]
        described |= {"polygon": polygon, "bbox": list(one.box), "bbox_label": 0}
    return described
