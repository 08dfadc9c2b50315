"""A data set and what was found in it as pycocotools takes them, which measures both."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.artifact import write_text
from compiler.datasets.dataset import Dataset, ObjectTruth
from compiler.errors import CompileError, nearest
from compiler.metrics.checks import require_numbers

if TYPE_CHECKING:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

REFEREES = ("pycocotools", "faster")
"""What can measure: pycocotools, or faster-coco-eval, which is held to it and takes a fraction of its time."""
Record = dict[str, Any]
NOT_MEASURED = -1
"""What pycocotools says of what there is nothing of."""


def image_numbers(dataset: Dataset) -> tuple[int, ...]:
    """The numbers of the items: COCO's own where it is such a data set, which settle ties as its server does.

    Raises:
        CompileError: Two images have the same one.
    """
    numbers = tuple(item.identity for item in dataset.items if isinstance(item.identity, int))
    if len(numbers) != len(dataset.items):
        return tuple(range(1, len(dataset.items) + 1))
    if len(set(numbers)) != len(numbers):
        twice = next(number for number in numbers if numbers.count(number) > 1)
        raise CompileError(
            f"two images have the number {twice}", where="images of the annotations", fix="number each image once"
        )
    return numbers


def own_image_numbers(dataset: Dataset) -> tuple[int | str, ...]:
    """What the data set's own files call its images.

    Raises:
        CompileError: They call them nothing.
    """
    names = tuple(item.identity for item in dataset.items if item.identity is not None)
    if len(names) != len(dataset.items):
        raise CompileError(
            "the images have no numbers", where="format_only", why="COCO's results name each image by its number"
        )
    return names


def class_numbers(dataset: Dataset) -> dict[str, int]:
    """The number of each class by its name; where classes are not told apart, that of the only one, by no name."""
    names = dataset.classes or ("",)
    return dict(zip(names, dataset.class_numbers or range(1, len(names) + 1), strict=True))


def truth_records(dataset: Dataset) -> list[Record]:
    """The annotations of a data set, numbered from 1: pycocotools takes 0 for none."""
    numbers = class_numbers(dataset)
    pairs = zip(image_numbers(dataset), dataset.items, strict=True)
    records = (_record(one, image, numbers) for image, item in pairs for one in item.truth)
    return numbered(record for record in records if record)


def numbered(records: Iterable[Record]) -> list[Record]:
    """Records, of which there may be a million, with numbers of their own, as pycocotools' index needs them."""
    found = list(records)
    for number, record in enumerate(found, start=1):
        record["id"] = number
    return found


def measured(
    dataset: Dataset, truth: Sequence[Record], found: Sequence[Record], kind: str, referee: str, **settings: Any
) -> COCOeval:
    """What pycocotools measures, or who else is asked, summed up.

    Args:
        dataset: Whose images and classes count.
        truth: See `truth_records`.
        found: The same of results, with a score each.
        kind: `bbox` or `keypoints`.
        referee: One of `REFEREES`.
        settings: Of `COCOeval.params`.
    """
    index_class, judge_class = _classes(referee)
    with redirect_stdout(io.StringIO()):
        judge = judge_class(_index(index_class, dataset, truth), _index(index_class, dataset, found), kind)
        for name, value in settings.items():
            setattr(judge.params, name, value)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge


def numbers_of(values: Mapping[str, float]) -> dict[str, float]:
    """Values of pycocotools, with nan where it measured nothing."""
    return {name: float("nan") if value == NOT_MEASURED else float(value) for name, value in values.items()}


def write_records(path: Path, records: Iterable[Record]) -> Path:
    """A file of records, which may be a million: in as few characters as JSON takes.

    Raises:
        CompileError: A number is none.
    """
    write_text(path, json.dumps([require_numbers(one, one["image_id"]) for one in records], allow_nan=False))
    return path


def require_referee(name: str) -> None:
    """Refuse what is none of `REFEREES`.

    Raises:
        ValueError: It is not.
    """
    if name not in REFEREES:
        raise ValueError(f"there is no referee '{name}': {nearest(name, REFEREES)}")


def _classes(referee: str) -> tuple[type[COCO], type[COCOeval]]:
    """What holds annotations, and what measures."""
    if referee == "faster":
        import faster_coco_eval

        return faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return COCO, COCOeval


def _index(index_class: type[COCO], dataset: Dataset, records: Sequence[Record]) -> COCO:
    index = index_class()
    index.dataset = {
        "images": [{"id": number} for number in image_numbers(dataset)],
        "categories": [{"id": number, "name": name} for name, number in class_numbers(dataset).items()],
        "annotations": list(records),
    }
    index.createIndex()
    return index


def _record(truth: object, image: int, numbers: Mapping[str, int]) -> Record:
    """An annotation; empty for what is no object of a known class."""
    if not isinstance(truth, ObjectTruth) or truth.label not in numbers:
        return {}
    x1, y1, x2, y2 = truth.box
    return {
        "image_id": image,
        "category_id": numbers[truth.label],
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": truth.area,
        "iscrowd": int(truth.ignore),
        "keypoints": [number for point in truth.keypoints for number in (point.x, point.y, point.visibility)],
        "num_keypoints": sum(point.visibility > 0 for point in truth.keypoints),
    }
