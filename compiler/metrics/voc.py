"""PASCAL VOC's mean average precision, as MMDetection 3.3.0's `VOCMetric` has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import write_text
from compiler.datasets.dataset import Dataset, Item, ObjectTruth
from compiler.metrics.checks import require_file_names, require_numbers
from compiler.metrics.classes import known_classes
from compiler.metrics.metric import Metric, Predictions
from compiler.tasks import AnyTask
from compiler.tasks.detection import Detection

Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]

EVAL_MODES = ("11points", "area")
PIXEL = 1
"""VOC's boxes reach from pixel to pixel: one from 3 to 3 is one pixel wide."""


@dataclass(frozen=True)
class VocDetection(Metric):
    """Mean average precision of boxes; what finds an object that is ignored counts neither for nor against.

    Attributes:
        iou_thrs: How much boxes have to overlap; mAP is the mean over these.
        eval_mode: `11points`, the mean of the best precisions at recalls of 0, 0.1 to 1, as in VOC 2007; or `area`
            below the curve, as in VOC 2010 and later.
        classes: Those that the model tells apart; none for all of the data set's.
        classwise: Whether the average precision of each class is told too, at the first overlap.
        partial_classes: Whether classes of the model may be unknown to the data set; what is found of them is left out.

    Raises:
        ValueError: There is no such mode.
    """

    TASKS: ClassVar[tuple[str, ...]] = ("detection",)
    HEADLINE: ClassVar[str] = "pascal_voc/mAP"

    iou_thrs: tuple[float, ...] = (0.5,)
    eval_mode: str = "11points"
    classes: tuple[str, ...] = ()
    classwise: bool = False
    partial_classes: bool = False

    def __post_init__(self) -> None:
        if self.eval_mode not in EVAL_MODES:
            raise ValueError(f"eval_mode is one of {', '.join(EVAL_MODES)}")

    def fitted(self, task: AnyTask, dataset: Dataset) -> VocDetection:
        """The metric of the model's classes; see `Metric.fitted`."""
        return replace(self, classes=known_classes(task.classes.names, dataset.classes, self.partial_classes))  # type: ignore[attr-defined]

    def score(self, predictions: Predictions, dataset: Dataset) -> dict[str, float]:
        """`pascal_voc/mAP` and that at each overlap; see `Metric.score`."""
        found = [_by_class(detections) for detections in predictions]
        names = self.classes or dataset.classes
        precisions = {
            threshold: {name: self._average(name, found, dataset, threshold) for name in names}
            for threshold in self.iou_thrs
        }
        means = {threshold: _mean(list(values.values())) for threshold, values in precisions.items()}
        told = {f"pascal_voc/AP{int(threshold * 100):02d}": mean for threshold, mean in means.items()}
        classes = precisions[self.iou_thrs[0]] if self.classwise else {}
        return {
            "pascal_voc/mAP": sum(means.values()) / len(means),
            **told,
            **{f"pascal_voc/{name}_AP": value for name, value in classes.items()},
        }

    def loss(self, found: Sequence[Detection], dataset: Dataset) -> float:
        """One minus the mAP of the classes that are in the image; see `Metric.loss`."""
        (item,) = dataset.items
        names = self.classes or dataset.classes
        if not any(isinstance(one, ObjectTruth) and one.label in names and not one.ignore for one in item.truth):
            return float("nan")
        return super().loss(found, dataset)

    def write(self, predictions: Predictions, dataset: Dataset, folder: Path) -> tuple[Path, ...]:
        """`comp4_det_test_<class>.txt` for each class, as VOC's server takes them; see `ResultFormat`."""
        lines: dict[str, list[str]] = {name: [] for name in self.classes or dataset.classes}
        require_file_names(lines)
        for item, detections in zip(dataset.items, predictions, strict=True):
            for one in detections:
                if one.name in lines:
                    require_numbers({"score": float(one.score), "box": one.box.tolist()}, item.path.name)
                    corners = " ".join(f"{corner + 1:.6f}" for corner in one.box.tolist())
                    lines[one.name].append(f"{item.path.stem} {one.score:.6f} {corners}\n")
        paths = {name: folder / f"comp4_det_test_{name}.txt" for name in lines}
        for name, path in paths.items():
            write_text(path, "".join(lines[name]))
        return tuple(paths.values())

    def _average(self, name: str, found: Sequence[dict[str, Floats]], dataset: Dataset, threshold: float) -> float:
        """The average precision of a class; nan where none of its objects is annotated."""
        scores: list[Floats] = [np.zeros(0)]
        hits, misses, objects = [np.zeros(0, bool)], [np.zeros(0, bool)], 0
        for boxes, item in zip(found, dataset.items, strict=True):
            truth, ignored = _truth(item, name)
            objects += int((~ignored).sum())
            if name in boxes:
                hit, miss = matches(boxes[name], truth, ignored, threshold)
                scores.append(boxes[name][:, 4])
                hits.append(hit)
                misses.append(miss)
        if not objects:
            return float("nan")
        order = np.argsort(-np.concatenate(scores), kind="stable")
        correct, wrong = (np.cumsum(np.concatenate(flags)[order]) for flags in (hits, misses))
        recalls = correct / objects
        precisions = correct / np.maximum(correct + wrong, np.finfo(np.float32).eps)
        return average_precision(recalls, precisions, self.eval_mode)


def matches(found: Floats, truth: Floats, ignored: Flags, threshold: float) -> tuple[Flags, Flags]:
    """Which boxes find an object, and which find nothing or what a better one has found; the others count for nothing.

    Args:
        found: `[n, 5]`, x1, y1, x2, y2 and score.
        truth: `[m, 4]`.
        ignored: `[m]`.
        threshold: How much boxes have to overlap.
    """
    hits, misses = np.zeros(len(found), bool), np.zeros(len(found), bool)
    if not len(truth):
        return hits, ~misses
    overlaps = overlap(found[:, :4], truth)
    taken: set[int] = set()
    for index in np.argsort(-found[:, 4], kind="stable"):
        nearest = int(overlaps[index].argmax())
        if overlaps[index, nearest] < threshold:
            misses[index] = True
        elif not ignored[nearest]:
            hits[index] = nearest not in taken
            misses[index] = nearest in taken
            taken.add(nearest)
    return hits, misses


def overlap(boxes: Floats, others: Floats) -> Floats:
    """Intersection over union of boxes, `[n, 4]`, with others, `[m, 4]`, as `[n, m]`, counted in whole pixels."""
    with np.errstate(all="ignore"):  # annotations may say anything
        first, second = boxes.astype(np.float32)[:, None], others.astype(np.float32)[None]
        sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2]) + PIXEL
        shared = np.maximum(sides, 0).prod(axis=2)
        areas = [(box[..., 2:] - box[..., :2] + PIXEL).prod(axis=2) for box in (first, second)]
        return np.asarray(shared / np.maximum(areas[0] + areas[1] - shared, np.float32(1e-6)))


def average_precision(recalls: Floats, precisions: Floats, mode: str) -> float:
    """The average precision of results, the best first."""
    if mode == "11points":
        reached = [precisions[recalls >= recall] for recall in np.arange(0, 1.001, 0.1)]
        return float(sum(values.max() if len(values) else 0.0 for values in reached) / 11)
    recalls = np.concatenate([[0.0], recalls, [1.0]])
    envelope = np.maximum.accumulate(np.concatenate([[0.0], precisions, [0.0]])[::-1])[::-1]
    return float((np.diff(recalls) * envelope[1:]).sum())


def _by_class(detections: Sequence[Detection]) -> dict[str, Floats]:
    """The boxes of each class with their scores, `[n, 5]`."""
    names = dict.fromkeys(one.name for one in detections)
    return {name: np.stack([np.append(one.box, one.score) for one in detections if one.name == name]) for name in names}


def _truth(item: Item, name: str) -> tuple[Floats, Flags]:
    """The boxes of a class in an image, `[m, 4]`, and which are ignored, those last."""
    objects = sorted(_objects(item, name), key=lambda one: one.ignore)
    return np.array([one.box for one in objects], float).reshape(-1, 4), np.array([one.ignore for one in objects], bool)


def _objects(item: Item, name: str) -> Iterator[ObjectTruth]:
    return (one for one in item.truth if isinstance(one, ObjectTruth) and one.label == name)


def _mean(values: Sequence[float]) -> float:
    """The mean of what is measured; 0 where nothing is, as MMDetection says."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else 0.0
