"""Recall, precision and their harmonic mean of reading text wherever it stands: MMOCR's `E2EHmeanIOUMetric`.

It lies beside MMOCR 1.0.1, in `projects/ABCNet`; its rules of what is the same text are those of ICDAR 2015's
end-to-end task: https://rrc.cvc.uab.es/?ch=4&com=tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compiler.datasets.dataset import Dataset, Item, TextTruth
from compiler.errors import CompileError
from compiler.metrics.metric import Metric, Predictions
from compiler.metrics.text_detection import HmeanIou, ImageOverlaps, Rates, has_texts
from compiler.runtime.text_spotting import Word

SPECIAL_CHARACTERS = "'!?.:,*\"()·[]/"
"""What may be left out where a true text begins or ends with one."""


@dataclass(frozen=True, eq=False)
class ImageWords:
    """The words of one image that count.

    Attributes:
        overlaps: Of the true ones with those that were found.
        same: `[t, f]`, whether they read the same.
    """

    overlaps: ImageOverlaps
    same: NDArray[np.bool_]


@dataclass(frozen=True)
class SpottingHmean(Metric):
    """Words that are found where they stand, and read as they are written; case does not matter.

    Attributes:
        match_iou_thr: A word is found where the overlap is more.
        ignore_precision_thr: A word that lies by more of its area in one that is ignored counts neither way.
        pred_score_thrs: Start, stop and step of the detector's scores that words must have, of which the one counts
            with which the harmonic mean of the whole data set is the highest.
    """

    TASKS: ClassVar[tuple[str, ...]] = ("text-spotting",)
    HEADLINE: ClassVar[str] = "icdar/hmean"

    match_iou_thr: float = 0.5
    ignore_precision_thr: float = 0.5
    pred_score_thrs: tuple[float, float, float] = (0.3, 0.9, 0.1)

    @property
    def detection(self) -> HmeanIou:
        """How words are found, whatever is read in them."""
        return HmeanIou(self.match_iou_thr, self.ignore_precision_thr, self.pred_score_thrs)

    def score(self, predictions: Predictions, dataset: Dataset) -> Mapping[str, float]:
        """Precision, recall and hmean, from 0 to 1."""
        images = [self._of_image(item, found) for item, found in zip(dataset.items, predictions, strict=True)]
        rates = (self.rates(images, threshold) for threshold in self.detection.thresholds.tolist())
        best = max(rates, key=lambda one: one.hmean)
        return {"icdar/precision": best.precision, "icdar/recall": best.recall, "icdar/hmean": best.hmean}

    def loss(self, found: Sequence[Word], dataset: Dataset) -> float:
        """One minus the hmean of the image with the best of the thresholds; see `Metric.loss`."""
        return super().loss(found, dataset) if has_texts(dataset.items[0]) else nan

    def rates(self, images: Sequence[ImageWords], threshold: float) -> Rates:
        """The rates where words that score less than a threshold are left out."""
        hits = true = found = 0
        for image in images:
            kept = image.overlaps.scores >= np.float32(threshold)
            hits += _hits(image.overlaps.overlaps[:, kept] > self.match_iou_thr, image.same[:, kept])
            true, found = true + len(image.same), found + int(kept.sum())
        if not true:
            return Rates(1.0, float(not found))
        return Rates(hits / true, hits / found if found else 0.0)

    def _of_image(self, item: Item, found: Sequence[Word]) -> ImageWords:
        texts = _texts(item)
        polygons = [np.array(one.polygon, np.float32) for one in texts]
        ignored = [one.ignore for one in texts]
        regions = [polygon for polygon, ignore in zip(polygons, ignored, strict=True) if ignore]
        places, scores = [one.polygon for one in found], [one.detection_score for one in found]
        overlaps = self.detection.of_image(polygons, ignored, places, scores)
        counts = self.detection.counting(places, scores, regions)
        read = [one.text for one, does in zip(found, counts, strict=True) if does]
        written = [str(one.text) for one in texts if not one.ignore]
        same = [[is_same(text, other) for other in read] for text in written]
        return ImageWords(overlaps, np.array(same, bool).reshape(len(written), len(read)))


def is_same(written: str, read: str) -> bool:
    """Whether a true text is what was read, but for case, and for a special character at either end of the true one."""
    written, read = written.upper(), read.upper()
    first, last = written[:1], written[-1:]
    begins, ends = bool(first) and first in SPECIAL_CHARACTERS, bool(last) and last in SPECIAL_CHARACTERS
    forms = {written, written[begins:], written[: len(written) - ends], written[begins : len(written) - ends]}
    return read in forms


def _hits(near: NDArray[np.bool_], same: NDArray[np.bool_]) -> int:
    """How many true words are read right, where each takes the first near one that is left, whatever that one reads."""
    left, hits = np.ones(near.shape[1], bool), 0
    for close, right in zip(near, same, strict=True):
        (columns,) = np.nonzero(close & left)
        left[columns[:1]] = False
        hits += int(right[columns[:1]].sum())
    return hits


def _texts(item: Item) -> list[TextTruth]:
    """The words of an image, each with its place and its characters."""
    texts = [one for one in item.truth if isinstance(one, TextTruth)]
    if not all(one.polygon and (one.ignore or one.text is not None) for one in texts):
        raise CompileError(
            "the data set does not say what is written where",
            where=str(item.path),
            why="reading text wherever it stands is measured by polygons and their texts",
            fix="name annotations of both, such as MMOCR's textspotting_test.json, or ICDAR's own",
        )
    return texts
