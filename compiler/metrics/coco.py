"""COCO's average precision of boxes, measured by pycocotools as MMDetection 3.3.0 calls it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from compiler.datasets.dataset import Dataset
from compiler.metrics.classes import known_classes
from compiler.metrics.coco_api import (
    NOT_MEASURED,
    REFEREES,
    Record,
    class_numbers,
    image_numbers,
    measured,
    numbered,
    numbers_of,
    own_image_numbers,
    require_referee,
    truth_records,
    write_records,
)
from compiler.metrics.metric import Metric, Predictions
from compiler.tasks import AnyTask
from compiler.tasks.detection import Detection

BOX_NUMBERS = (
    *("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l"),
    *("AR@100", "AR@300", "AR@1000", "AR_s@1000", "AR_m@1000", "AR_l@1000"),
)
"""What pycocotools sums up of boxes, in its order, as MMDetection calls it."""
MOST_BOXES = 100
"""Of an image, that pycocotools sums up mAP of, whatever the settings."""
IOU_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())


@dataclass(frozen=True)
class CocoDetection(Metric):
    """Average precision and recall of boxes, as MMDetection 3.3.0's `CocoMetric` has them.

    Attributes:
        classes: Those that the model tells apart; none for all of the data set's.
        classwise: Whether the average precision of each class is told too.
        metric_items: What is told, of `BOX_NUMBERS`.
        proposal_nums: How many results of an image count, the best first. mAP is of the best 100, which has to be
            among them, and what else is told of the last.
        iou_thrs: How much boxes have to overlap; averages are over these.
        partial_classes: Whether classes of the model may be unknown to the data set; what is found of them is left out.
        referee: Who measures: `pycocotools`, or `faster`, which is faster-coco-eval and says the same.

    Raises:
        ValueError: A number is asked for that is not measured, or there is no such referee.
    """

    TASKS: ClassVar[tuple[str, ...]] = ("detection",)
    HEADLINE: ClassVar[str] = "coco/bbox_mAP"

    classes: tuple[str, ...] = ()
    classwise: bool = False
    metric_items: tuple[str, ...] = BOX_NUMBERS[:6]
    proposal_nums: tuple[int, int, int] = (100, 300, 1000)
    iou_thrs: tuple[float, ...] = IOU_THRESHOLDS
    partial_classes: bool = False
    referee: str = REFEREES[0]

    def __post_init__(self) -> None:
        require_referee(self.referee)
        unknown = set(self.metric_items) - set(BOX_NUMBERS)
        if unknown:
            raise ValueError(f"metric_items are of {', '.join(BOX_NUMBERS)}, not {', '.join(sorted(unknown))}")
        if MOST_BOXES not in self.proposal_nums:
            raise ValueError(f"proposal_nums are to have {MOST_BOXES} among them")

    def fitted(self, task: AnyTask, dataset: Dataset) -> CocoDetection:
        """The metric of the model's classes; see `Metric.fitted`."""
        return replace(self, classes=known_classes(task.classes.names, dataset.classes, self.partial_classes))  # type: ignore[attr-defined]

    def score(self, predictions: Predictions, dataset: Dataset) -> dict[str, float]:
        """`coco/bbox_mAP` and the others; see `Metric.score`."""
        numbers = self._numbers(dataset)
        truth = truth_records(dataset)
        # What is found of a class of which there is nothing counts for nothing, and would take its time.
        present = {record["category_id"] for record in truth}
        numbers = {name: number for name, number in numbers.items() if number in present} or numbers
        found = numbered(self._found(predictions, image_numbers(dataset), numbers))
        judge = measured(
            dataset,
            truth,
            found,
            "bbox",
            self.referee,
            catIds=sorted(numbers.values()),
            maxDets=list(self.proposal_nums),
            iouThrs=np.array(self.iou_thrs),
        )
        values = {**dict(zip(BOX_NUMBERS, judge.stats, strict=True)), "mAP": self._mean_precision(judge)}
        told = {f"coco/bbox_{name}": values[name] for name in self.metric_items}
        return numbers_of({**self._classwise(judge, numbers, dataset), **told})

    def loss(self, found: Sequence[Detection], dataset: Dataset) -> float:
        """One minus the mAP of the image, whatever is told; see `Metric.loss`."""
        return Metric.loss(replace(self, metric_items=BOX_NUMBERS[:1], classwise=False), found, dataset)

    def write(self, predictions: Predictions, dataset: Dataset, folder: Path) -> tuple[Path, ...]:
        """`results.bbox.json`, as COCO's server takes it; see `ResultFormat`."""
        found = self._found(predictions, own_image_numbers(dataset), self._numbers(dataset))
        path = folder / "results.bbox.json"
        keys = ("image_id", "category_id", "bbox", "score")
        return (write_records(path, ({key: record[key] for key in keys} for record in found)),)

    def _numbers(self, dataset: Dataset) -> dict[str, int]:
        """The numbers of the classes that count, by name."""
        numbers = class_numbers(dataset)
        return {
            name: number for name, number in numbers.items() if not self.classes or name in self.classes or not name
        }

    @staticmethod
    def _found(predictions: Predictions, images: Sequence[int | str], numbers: Mapping[str, int]) -> Iterator[Record]:
        """Yield the detections of classes that count."""
        for image, detections in zip(images, predictions, strict=True):
            for one in detections:
                name = "" if "" in numbers else one.name
                if name in numbers:
                    yield _box_record(one, image, numbers[name])

    def _mean_precision(self, judge: Any) -> float:
        """The mAP, of the best `MOST_BOXES` whoever measures: faster-coco-eval sums up that of the last number."""
        precisions = judge.eval["precision"][:, :, :, 0, self.proposal_nums.index(MOST_BOXES)]
        known = precisions[precisions > -1]
        return float(known.mean()) if known.size else NOT_MEASURED

    def _classwise(self, judge: Any, numbers: Mapping[str, int], dataset: Dataset) -> dict[str, float]:
        """The average precision of each class, as `coco/<class>_precision`."""
        if not self.classwise:
            return {}
        names = {number: name for name, number in numbers.items()}
        precisions = judge.eval["precision"][:, :, :, 0, -1]  # of all sizes, and of as many results as count at all
        classes = zip(judge.params.catIds, np.moveaxis(precisions, 2, 0), strict=True)
        known = {names[number]: values[values > -1] for number, values in classes}
        reached = {name: float(values.mean()) for name, values in known.items() if values.size}
        return {f"coco/{name}_precision": reached.get(name, NOT_MEASURED) for name in self._numbers(dataset)}


def _box_record(one: Detection, image: int | str, number: int) -> Record:
    x1, y1, x2, y2 = one.box.tolist()
    width, height = x2 - x1, y2 - y1
    box = [x1, y1, width, height]
    found = {"image_id": image, "category_id": number, "bbox": box, "score": one.score}
    return {**found, "area": width * height, "iscrowd": 0}
