"""COCO's average precision of key points, measured by pycocotools as MMPose 1.3.2 calls it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compiler.datasets.dataset import Dataset, ObjectTruth
from compiler.errors import CompileError, same_letters
from compiler.metrics.coco_api import (
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
from compiler.metrics.oks import COCO_SIGMAS, softly_suppressed, suppressed
from compiler.tasks import AnyTask
from compiler.tasks.pose import TopdownPose
from compiler.tasks.pose.bottomup import PersonPose

if TYPE_CHECKING:
    from compiler.tasks.pose import Pose

KEYPOINT_NUMBERS = ("AP", "AP .5", "AP .75", "AP (M)", "AP (L)", "AR", "AR .5", "AR .75", "AR (M)", "AR (L)")
"""The same of key points, as MMPose calls it."""
SCORE_MODES = ("bbox", "bbox_keypoint", "bbox_rle", "keypoint")
NMS_MODES = ("oks_nms", "soft_oks_nms", "none")
VISIBLE_SHARE = 0.53
"""Of a box, that xtcocotools takes for the area of a person where no area is told."""


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
        referee: Who measures: `pycocotools`, or `faster`, which is faster-coco-eval and says the same.

    Raises:
        ValueError: There is no such mode, or no such referee.
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
    referee: str = REFEREES[0]

    def __post_init__(self) -> None:
        require_referee(self.referee)
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
            _with_extent(one) for one in self._found(predictions, image_numbers(dataset), self._person(dataset))
        )
        judge = measured(dataset, truth, found, "keypoints", self.referee, kpt_oks_sigmas=np.array(self.sigmas))
        values = dict(zip(KEYPOINT_NUMBERS, judge.stats, strict=True))
        return numbers_of({f"coco/{name}": value for name, value in values.items()})

    def write(self, predictions: Predictions, dataset: Dataset, folder: Path) -> tuple[Path, ...]:
        """`results.keypoints.json`, as COCO's server takes it; see `ResultFormat`."""
        path = folder / "results.keypoints.json"
        return (write_records(path, self._found(predictions, own_image_numbers(dataset), self._person(dataset))),)

    def _check_names(self, names: Sequence[str], dataset: Dataset) -> None:
        count = len(dataset.keypoints) or _number_of_key_points(dataset)
        if not count and any(item.truth for item in dataset.items):
            raise CompileError(
                "the data set has no key points", where="dataset", why="its annotations are of something else"
            )
        if count and count != len(names):
            raise CompileError(
                f"the model finds {len(names)} key points, and the data set has {count}", where="dataset"
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


def _number_of_key_points(dataset: Dataset) -> int:
    """As many as the first object has that has any."""
    truths = (one for item in dataset.items for one in item.truth if isinstance(one, ObjectTruth))
    return next((len(one.keypoints) for one in truths if one.keypoints), 0)


def _with_extent(record: Record) -> Record:
    """A found pose with the box around its key points, and that box's area, as pycocotools takes them."""
    xs, ys = record["keypoints"][0::3], record["keypoints"][1::3]
    x, y, width, height = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    return {**record, "bbox": [x, y, width, height], "area": width * height, "iscrowd": 0}
