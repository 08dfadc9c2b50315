"""Recall, precision and their harmonic mean of text detection, as MMOCR 1.0.1's `HmeanIOUMetric` computes them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact.files import written_whole
from compiler.datasets.dataset import Dataset, Item, TextTruth
from compiler.errors import CompileError, nearest
from compiler.metrics.metric import Metric, Predictions
from compiler.selection.nms import overlaps
from compiler.tasks.text_detection import TextInstance
from compiler.tasks.text_detection.polygons import Polygon, area, intersection_and_union, overlap

Booleans = NDArray[np.bool_]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_SMALL = 1e-5


@dataclass(frozen=True, eq=False)
class ImageOverlaps:
    """The texts of one image that count.

    Attributes:
        overlaps: `[t, f]`, the intersection over union of each true text with each that was found.
        scores: `[f]`, of those that were found.
    """

    overlaps: Doubles
    scores: Floats


@dataclass(frozen=True)
class Rates:
    """How much was found.

    Attributes:
        recall: The share of the true texts that were found.
        precision: The share of the texts found that are true.
    """

    recall: float
    precision: float

    @property
    def hmean(self) -> float:
        """The harmonic mean of the two."""
        both = self.recall + self.precision
        return 2 * self.recall * self.precision / both if both else 0.0


@dataclass(frozen=True)
class HmeanIou(Metric):
    """MMOCR's `HmeanIOUMetric`.

    Attributes:
        match_iou_thr: A text is found where the overlap is more.
        ignore_precision_thr: A text that lies by more of its area in one that is ignored counts neither way.
        pred_score_thrs: Start, stop and step of the scores that texts must have, of which the one counts with which the
            harmonic mean of the whole data set is the highest.
        strategy: `vanilla`, in which texts are paired as they come, or `max_matching`, in as many pairs as there can
            be.

    Raises:
        ValueError: There is no such strategy, or no score.
    """

    TASKS: ClassVar[tuple[str, ...]] = ("text-detection",)
    HEADLINE: ClassVar[str] = "icdar/hmean"

    match_iou_thr: float = 0.5
    ignore_precision_thr: float = 0.5
    pred_score_thrs: tuple[float, float, float] = (0.3, 0.9, 0.1)
    strategy: str = "vanilla"

    def __post_init__(self) -> None:
        if self.strategy not in PAIRINGS:
            raise ValueError(f"there is no strategy '{self.strategy}': {nearest(self.strategy, PAIRINGS)}")
        start, stop, step = self.pred_score_thrs
        if not (step > 0 and start < stop and (stop - start) / step < 10_000):
            raise ValueError(f"pred_score_thrs is {list(self.pred_score_thrs)}, and there are no scores to try")

    @property
    def thresholds(self) -> Floats:
        """The scores that texts must have, in single precision, as a network's are. Rounding has NumPy go on to 0.9
        where it should end before it, as it does for MMOCR."""
        return np.arange(*self.pred_score_thrs).astype(np.float32)

    def score(self, predictions: Predictions, dataset: Dataset) -> Mapping[str, float]:
        """Precision, recall and hmean, from 0 to 1."""
        pairs = zip(dataset.items, predictions, strict=True)
        best = self.best_rates([self.of_image(*_truth(item), *_found(found)) for item, found in pairs])
        return {"icdar/precision": best.precision, "icdar/recall": best.recall, "icdar/hmean": best.hmean}

    def loss(self, found: Sequence[TextInstance], dataset: Dataset) -> float:
        """One minus the hmean of the image with the best of the thresholds; see `Metric.loss`."""
        return super().loss(found, dataset) if has_texts(dataset.items[0]) else nan

    def write(self, predictions: Predictions, dataset: Dataset, folder: Path) -> tuple[Path, ...]:
        """A `submit.zip` of ICDAR's: for each image a `res_<name>.txt` with the corners of a text in each line.

        Texts that score less than the first of the thresholds are left out.
        """
        path = folder / "submit.zip"
        with written_whole(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for item, found in zip(dataset.items, predictions, strict=True):
                kept = [one for one in found if np.float32(one.score) >= self.thresholds[0]]
                archive.writestr(f"res_{item.path.stem}.txt", "".join(map(_line, kept)))
        return (path,)

    def of_image(
        self, truth: Sequence[Polygon], ignored: Sequence[bool], found: Sequence[Polygon], scores: Sequence[float]
    ) -> ImageOverlaps:
        """What counts in one image.

        Args:
            truth: The true texts, `[k, 2]` each.
            ignored: Which of them are ignored.
            found: The texts that were found, `[k, 2]` each.
            scores: Of those.
        """
        regions = [polygon for polygon, ignore in zip(truth, ignored, strict=True) if ignore]
        true = [polygon for polygon, ignore in zip(truth, ignored, strict=True) if not ignore]
        scored = np.asarray(scores, np.float32)
        counts = self.counting(found, scores, regions)
        kept = [polygon for polygon, does in zip(found, counts, strict=True) if does]
        return ImageOverlaps(_overlaps(true, kept), scored[counts])

    def counting(self, found: Sequence[Polygon], scores: Sequence[float], regions: Sequence[Polygon]) -> Booleans:
        """Which of the texts that were found count: those that score enough, and do not lie in an ignored region."""
        scored = zip(found, np.asarray(scores, np.float32), strict=True)
        counts = [score >= self.thresholds[0] and not self._is_ignored(polygon, regions) for polygon, score in scored]
        return np.array(counts, bool)

    def best_rates(self, images: Sequence[ImageOverlaps]) -> Rates:
        """The rates with the best of the thresholds; of several, with the lowest."""
        return max((self.rates(images, threshold) for threshold in self.thresholds.tolist()), key=lambda one: one.hmean)

    def rates(self, images: Sequence[ImageOverlaps], threshold: float) -> Rates:
        """The rates where texts that score less than a threshold are left out."""
        hits = true = found = 0
        for image in images:
            kept = image.scores >= np.float32(threshold)
            hits += PAIRINGS[self.strategy](image.overlaps[:, kept] > self.match_iou_thr)
            true, found = true + len(image.overlaps), found + int(kept.sum())
        if not true:
            return Rates(1.0, float(not found))
        return Rates(hits / true, hits / found if found else 0.0)

    def _is_ignored(self, polygon: Polygon, regions: Sequence[Polygon]) -> bool:
        own = area(polygon) + _SMALL
        near = (regions[place] for place in np.flatnonzero(_near([polygon], regions)).tolist())
        return any(intersection_and_union(polygon, one)[0] / own > self.ignore_precision_thr for one in near)


def has_texts(item: Item) -> bool:
    """Whether there is a text in an image that counts."""
    return any(isinstance(one, TextTruth) and not one.ignore for one in item.truth)


def _truth(item: Item) -> tuple[list[Polygon], list[bool]]:
    """The polygons of an image's texts, and which of them are ignored."""
    texts = [one for one in item.truth if isinstance(one, TextTruth)]
    if len(texts) < len(item.truth) or not all(one.polygon for one in texts):
        raise CompileError(
            "the data set does not say where its texts are",
            where=str(item.path),
            why="the detection of text is measured by polygons",
            fix="name annotations of text detection, such as MMOCR's textdet_test.json",
        )
    return [np.array(one.polygon, np.float32) for one in texts], [one.ignore for one in texts]


def _found(texts: Sequence[TextInstance]) -> tuple[list[Polygon], list[float]]:
    return [one.polygon for one in texts], [one.score for one in texts]


def _line(text: TextInstance) -> str:
    return ",".join(str(round(number)) for number in text.polygon.ravel().tolist()) + "\r\n"


def _overlaps(first: Sequence[Polygon], second: Sequence[Polygon]) -> Doubles:
    """The intersection over union of each polygon with each other, `[n, m]`."""
    found = np.zeros((len(first), len(second)))
    for row, column in np.argwhere(_near(first, second)).tolist():
        found[row, column] = overlap(first[row], second[column])
    return found


def _near(first: Sequence[Polygon], second: Sequence[Polygon]) -> Booleans:
    """Which boxes around polygons overlap, `[n, m]`: of others it need not be computed how much they do."""
    if not (first and second):
        return np.zeros((len(first), len(second)), bool)
    boxes = [np.stack([np.concatenate([one.min(axis=0), one.max(axis=0)]) for one in side]) for side in (first, second)]
    return np.asarray(overlaps(boxes[0][:, None], boxes[1][None]) > 0)


def _pairs_as_they_come(matching: Booleans) -> int:
    """How many rows and columns go together where each row takes the first that is left."""
    left = np.ones(matching.shape[1], bool)
    for row in matching:
        (columns,) = np.nonzero(row & left)
        left[columns[:1]] = False
    return int((~left).sum())


def _most_pairs(matching: Booleans) -> int:
    """How many rows and columns can go together at most: a maximum matching, by augmenting paths."""
    row_of: dict[int, int] = {}

    def takes_one(row: int, tried: set[int]) -> bool:
        for column in np.flatnonzero(matching[row]).tolist():
            if column in tried:
                continue
            tried.add(column)
            if column not in row_of or takes_one(row_of[column], tried):
                row_of[column] = row
                return True
        return False

    return sum(takes_one(row, set()) for row in range(len(matching)))


PAIRINGS: Mapping[str, Callable[[Booleans], int]] = {
    "vanilla": _pairs_as_they_come,
    "max_matching": _most_pairs,
}
"""How texts are paired, by MMOCR's names: how many pairs, given which true text may go with which found one."""
