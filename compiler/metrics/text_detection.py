"""Recall, precision and their harmonic mean of text detection, as MMOCR 1.0.1's `HmeanIOUMetric` computes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.selection.nms import overlaps
from compiler.tasks.text_detection.polygons import area, shared_areas

Polygon = NDArray[np.floating[Any]]
Booleans = NDArray[np.bool_]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

SCORE_THRESHOLDS = np.arange(0.3, 0.9, 0.1).astype(np.float32)
"""Of which the best counts. Rounding has NumPy go on to 0.9, as it does for MMOCR."""
MATCHING_IOU = 0.5
"""A text is found where the overlap is more."""
IGNORED_SHARE = 0.5
"""A text that lies by more of its area in a region that is ignored counts neither way."""
STRATEGIES = ("vanilla", "max_matching")
"""Whether texts are paired as they come, or so that there are as many pairs as there can be."""

_SMALL = 1e-5


@dataclass(frozen=True, eq=False)
class ImageOverlaps:
    """The texts of one image that count.

    Attributes:
        overlaps: `[t, f]`, of each true text with each that was found.
        scores: `[f]`, of those that were found.
    """

    overlaps: Doubles
    scores: Floats


@dataclass(frozen=True)
class Rates:
    """How much was found.

    Attributes:
        threshold: The score that texts must have.
        recall: The share of the true texts that were found.
        precision: The share of the texts found that are true.
        hmean: The harmonic mean of the two.
    """

    threshold: float
    recall: float
    precision: float
    hmean: float


def image_overlaps(
    truth: Sequence[Polygon], ignored: Sequence[bool], found: Sequence[Polygon], scores: Sequence[float]
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
    counts = [
        score >= SCORE_THRESHOLDS.min() and bool(np.isfinite(polygon).all()) and not _lies_in(polygon, regions)
        for polygon, score in zip(found, scored, strict=True)
    ]
    kept = [polygon for polygon, does in zip(found, counts, strict=True) if does]
    return ImageOverlaps(_overlaps(true, kept), scored[np.array(counts, bool)])


def best_rates(images: Sequence[ImageOverlaps], strategy: str = "vanilla") -> Rates:
    """The rates of a data set at the score threshold at which their harmonic mean is the highest; of several, the
    lowest threshold."""
    return max((rates(images, float(one), strategy) for one in SCORE_THRESHOLDS), key=lambda one: one.hmean)


def rates(images: Sequence[ImageOverlaps], threshold: float, strategy: str = "vanilla") -> Rates:
    """The rates of a data set.

    Args:
        images: What counts in each image.
        threshold: Texts that score less are left out.
        strategy: One of `STRATEGIES`.
    """
    paired = {"vanilla": _paired_as_they_come, "max_matching": _most_pairs}[strategy]
    hits = true = found = 0
    for image in images:
        kept = image.scores >= np.float32(threshold)
        hits += paired(image.overlaps[:, kept] > MATCHING_IOU)
        true, found = true + len(image.overlaps), found + int(kept.sum())
    return _rates(threshold, hits, true, found)


def _rates(threshold: float, hits: int, true: int, found: int) -> Rates:
    """MMOCR's shares: where nothing is true, all was found, and what was found beside it is wrong."""
    recall = hits / true if true else 1.0
    precision = hits / found if found else float(not true)
    if not true:
        precision = float(not found)
    both = recall + precision
    return Rates(threshold, recall, precision, 2 * recall * precision / both if both else 0.0)


def _lies_in(polygon: Polygon, regions: Sequence[Polygon]) -> bool:
    """Whether a polygon lies in one of some regions by more of its area than `IGNORED_SHARE`."""
    own = area(polygon) + _SMALL
    return any(shared_areas(polygon, region)[0] / own > IGNORED_SHARE for region in regions)


def _overlaps(first: Sequence[Polygon], second: Sequence[Polygon]) -> Doubles:
    """The intersection over union of each polygon with each other, `[n, m]`."""
    found = np.zeros((len(first), len(second)))
    if not found.size:
        return found
    boxes = [np.stack([np.concatenate([one.min(axis=0), one.max(axis=0)]) for one in side]) for side in (first, second)]
    for row, column in np.argwhere(overlaps(boxes[0][:, None], boxes[1][None]) > 0).tolist():
        common, union = shared_areas(first[row], second[column])
        found[row, column] = common / union if union else 0.0
    return found


def _paired_as_they_come(matching: Booleans) -> int:
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
