"""COCO's average precision of boxes and of key points, measured by pycocotools as MMDetection and MMPose call it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from compiler.artifact import write_text
from compiler.datasets.dataset import Dataset, ObjectTruth
from compiler.errors import CompileError, same_letters
from compiler.metrics.classes import known_classes
from compiler.metrics.coco_api import (
    NOT_MEASURED,
    Record,
    class_numbers,
    image_numbers,
    measured,
    numbered,
    numbers_of,
    own_image_numbers,
    truth_records,
)
from compiler.metrics.metric import Metric, Predictions
from compiler.metrics.oks import COCO_SIGMAS, softly_suppressed, suppressed
from compiler.tasks import AnyTask
from compiler.tasks.detection import Detection
from compiler.tasks.pose import TopdownPose
from compiler.tasks.pose.bottomup import PersonPose

if TYPE_CHECKING:
    from compiler.tasks.pose import Pose

BOX_NUMBERS = (
    *("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l"),
    *("AR@100", "AR@300", "AR@1000", "AR_s@1000", "AR_m@1000", "AR_l@1000"),
)
"""What pycocotools sums up of boxes, in its order, as MMDetection calls it."""
KEYPOINT_NUMBERS = ("AP", "AP .5", "AP .75", "AP (M)", "AP (L)", "AR", "AR .5", "AR .75", "AR (M)", "AR (L)")
"""The same of key points, as MMPose calls it."""
MOST_BOXES = 100
"""Of an image, that pycocotools sums up mAP of, whatever the settings."""
IOU_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
SCORE_MODES = ("bbox", "bbox_keypoint", "bbox_rle", "keypoint")
NMS_MODES = ("oks_nms", "soft_oks_nms", "none")
VISIBLE_SHARE = 0.53
"""Of a box, that xtcocotools takes for the area of a person where no area is told."""


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

    Raises:
        ValueError: A number is asked for that is not measured.
    """

    TASKS: ClassVar[tuple[str, ...]] = ("detection",)
    HEADLINE: ClassVar[str] = "coco/bbox_mAP"

    classes: tuple[str, ...] = ()
    classwise: bool = False
    metric_items: tuple[str, ...] = BOX_NUMBERS[:6]
    proposal_nums: tuple[int, int, int] = (100, 300, 1000)
    iou_thrs: tuple[float, ...] = IOU_THRESHOLDS
    partial_classes: bool = False

    def __post_init__(self) -> None:
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
        found = numbered(list(self._found(predictions, image_numbers(dataset), numbers)))
        judge = measured(
            dataset,
            truth,
            found,
            "bbox",
            catIds=sorted(numbers.values()),
            maxDets=list(self.proposal_nums),
            iouThrs=np.array(self.iou_thrs),
        )
        values = dict(zip(BOX_NUMBERS, judge.stats, strict=True))
        told = {f"coco/bbox_{name}": values[name] for name in self.metric_items}
        return numbers_of({**self._classwise(judge, numbers, dataset), **told})

    def write(self, predictions: Predictions, dataset: Dataset, folder: Path) -> tuple[Path, ...]:
        """`results.bbox.json`, as COCO's server takes it; see `ResultFormat`."""
        found = self._found(predictions, own_image_numbers(dataset), self._numbers(dataset))
        path = folder / "results.bbox.json"
        keys = ("image_id", "category_id", "bbox", "score")
        return (_written(path, ({key: record[key] for key in keys} for record in found)),)

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


@dataclass(frozen=True)
class CocoKeypoints(Metric):
    """Average precision and recall of key points by their similarity (OKS), as MMPose 1.3.2's `CocoMetric` has them.

    Attributes:
        use_area: Whether the data set tells the area of each person; else it is a share of the box.
        score_mode: What a pose is ranked by: the box's score (`bbox`), or that times the mean score of the key points
            (`bbox_keypoint`), or their sum with the best one's (`bbox_rle`), or their mean alone (`keypoint`). None for
            `bbox_keypoint` where a model looks at people one by one, and `bbox` where it finds all at once.
        keypoint_score_thr: Key points count for `bbox_keypoint` that score more.
        nms_mode: How one of two similar poses is suppressed: `oks_nms`, `soft_oks_nms` or `none`. None for `oks_nms`
            where a model looks at people one by one, and `none` where it finds all at once.
        nms_thr: How similar they are then.
        sigmas: How far people place each key point from each other, in shares of an object's size.
        padding: How much larger than the box the crop is that the model looks at.
        aspect: Width of that crop by its height.
        check_names: Whether the key points of the model and of the data set have to have the same names.

    Raises:
        ValueError: There is no such mode.
    """

    TASKS: ClassVar[tuple[str, ...]] = ("pose-detection",)
    HEADLINE: ClassVar[str] = "coco/AP"

    use_area: bool = True
    score_mode: str | None = None
    keypoint_score_thr: float = 0.2
    nms_mode: str | None = None
    nms_thr: float = 0.9
    sigmas: tuple[float, ...] = COCO_SIGMAS
    padding: float = 1.25
    aspect: float = 0.75
    check_names: bool = True

    def __post_init__(self) -> None:
        if self.score_mode not in (None, *SCORE_MODES) or self.nms_mode not in (None, *NMS_MODES):
            raise ValueError(f"score_mode is one of {', '.join(SCORE_MODES)}, nms_mode of {', '.join(NMS_MODES)}")

    def fitted(self, task: AnyTask, dataset: Dataset) -> CocoKeypoints:
        """The metric of a model that looks at people one by one, or at all at once; see `Metric.fitted`."""
        self._check_names(task.keypoints.names, dataset)  # type: ignore[attr-defined]
        one_by_one = isinstance(task, TopdownPose)
        fitted = replace(
            self,
            score_mode=self.score_mode or ("bbox_keypoint" if one_by_one else "bbox"),
            nms_mode=self.nms_mode or ("oks_nms" if one_by_one else "none"),
        )
        if not isinstance(task, TopdownPose):
            return fitted
        width, height = task.input_size
        return replace(fitted, padding=task.padding, aspect=width / height)

    def score(self, predictions: Predictions, dataset: Dataset) -> dict[str, float]:
        """`coco/AP` and the others; see `Metric.score`."""
        truth = [self._with_area(record) for record in self._people(dataset)]
        found = numbered(
            [_with_extent(one) for one in self._found(predictions, image_numbers(dataset), self._person(dataset))]
        )
        judge = measured(dataset, truth, found, "keypoints", kpt_oks_sigmas=np.array(self.sigmas))
        values = dict(zip(KEYPOINT_NUMBERS, judge.stats, strict=True))
        return numbers_of({f"coco/{name}": value for name, value in values.items()})

    def write(self, predictions: Predictions, dataset: Dataset, folder: Path) -> tuple[Path, ...]:
        """`results.keypoints.json`, as COCO's server takes it; see `ResultFormat`."""
        path = folder / "results.keypoints.json"
        return (_written(path, self._found(predictions, own_image_numbers(dataset), self._person(dataset))),)

    def _check_names(self, names: Sequence[str], dataset: Dataset) -> None:
        truths = (one for item in dataset.items for one in item.truth if isinstance(one, ObjectTruth))
        known = dataset.keypoints or next((one.keypoints for one in truths if one.keypoints), ())
        if dataset.items and any(item.truth for item in dataset.items) and not known:
            raise CompileError(
                "the data set has no key points", where="dataset", why="its annotations are of something else"
            )
        if known and len(known) != len(names):
            raise CompileError(
                f"the model finds {len(names)} key points, and the data set has {len(known)}", where="dataset"
            )
        same = list(map(same_letters, names)) == list(map(same_letters, dataset.keypoints or names))
        if self.check_names and not same:
            raise CompileError(
                "the model and the data set mean other key points",
                where="dataset",
                why=f"{', '.join(names)}; and {', '.join(dataset.keypoints)}",
                fix="where only their spelling differs, add metric.check_names=false",
            )
        if len(self.sigmas) != len(names):
            raise CompileError(
                f"there are {len(self.sigmas)} sigmas for {len(names)} key points",
                where="metric.sigmas",
                fix="give one for each: how far people place it from each other, in shares of an object's size",
            )

    def _person(self, dataset: Dataset) -> int:
        """The number of the class of people."""
        numbers = class_numbers(dataset)
        return numbers.get("person", next(iter(numbers.values())))

    def _people(self, dataset: Dataset) -> list[Record]:
        """The annotations, with the key points of those that have none as not labelled."""
        unlabelled = [0.0] * 3 * len(self.sigmas)
        return [{**one, "keypoints": one["keypoints"] or unlabelled} for one in truth_records(dataset)]

    def _with_area(self, record: Record) -> Record:
        _, _, width, height = record["bbox"]
        return record if self.use_area else {**record, "area": width * height * VISIBLE_SHARE}

    def _found(self, predictions: Predictions, images: Sequence[int | str], person: int) -> Iterator[Record]:
        """Yield the poses that are kept, each with its score."""
        for image, poses in zip(images, predictions, strict=True):
            scores = np.array([self._score(one) for one in poses])
            for index in self._kept(poses, scores):
                points = np.column_stack([poses[index].keypoints, poses[index].scores])
                keypoints = points.astype(np.float64).ravel().tolist()
                score = float(scores[index])
                yield {"image_id": image, "category_id": person, "keypoints": keypoints, "score": score}

    def _score(self, pose: Pose | PersonPose) -> float:
        """What a pose is ranked by; a box that is known to hold a person scores 1."""
        box = pose.score if isinstance(pose, PersonPose) else 1.0
        if self.score_mode == "bbox":
            return box
        if self.score_mode == "keypoint":
            return float(pose.scores.mean())
        if self.score_mode == "bbox_rle":
            return float(box + pose.scores.mean() + pose.scores.max())
        sure = pose.scores[pose.scores > self.keypoint_score_thr]
        return float(box * sure.mean()) if len(sure) else 0.0

    def _kept(self, poses: Sequence[Pose | PersonPose], scores: np.ndarray) -> Sequence[int]:
        if self.nms_mode == "none" or not len(poses):
            return range(len(poses))
        suppress = softly_suppressed if self.nms_mode == "soft_oks_nms" else suppressed
        points = np.stack([one.keypoints for one in poses])
        areas = np.array([self._crop_area(one) for one in poses])
        return suppress(points, scores, areas, np.array(self.sigmas), self.nms_thr)

    def _crop_area(self, pose: Pose | PersonPose) -> float:
        """Of the crop around a box that the model looked at: its sides in the crop's ratio, and padded."""
        width, height = (pose.box[2:] - pose.box[:2]).tolist()
        width, height = max(width, height * self.aspect), max(height, width / self.aspect)
        return float(width * height * self.padding**2)


def _written(path: Path, records: Iterable[Record]) -> Path:
    """A file of records, which may be a million: in as few characters as JSON takes."""
    write_text(path, json.dumps(list(records), allow_nan=False))
    return path


def _box_record(one: Detection, image: int | str, number: int) -> Record:
    x1, y1, x2, y2 = one.box.tolist()
    width, height = x2 - x1, y2 - y1
    box = [x1, y1, width, height]
    found = {"image_id": image, "category_id": number, "bbox": box, "score": one.score}
    return {**found, "area": width * height, "iscrowd": 0}


def _with_extent(record: Record) -> Record:
    """A found pose with the box around its key points, and that box's area, as pycocotools takes them."""
    xs, ys = record["keypoints"][0::3], record["keypoints"][1::3]
    x, y, width, height = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    return {**record, "bbox": [x, y, width, height], "area": width * height, "iscrowd": 0}
