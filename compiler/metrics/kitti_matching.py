"""How KITTI's development kit pairs what was found with what is true, and what precision follows at each recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Booleans = NDArray[np.bool_]

RECALLS = 41
"""From 0 to 1, at which precision is looked at."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """What of one frame counts.

    Attributes:
        overlaps: `[f, t]`, of each that was found with each that is true.
        ignored_truth: `[t]`, which is no loss where it is not found.
        ignored_found: `[f]`, which is not wrong where nothing is true.
        covered: `[f]`, which lies in a region that is not labelled.
        scores: `[f]`.
    """

    overlaps: Array
    ignored_truth: Booleans
    ignored_found: Booleans
    covered: Booleans
    scores: Array

    def scores_of_matches(self, minimum: float) -> list[float]:
        """The scores of what was found and is true, where each that is true takes what scores most."""
        free, matched = np.ones(len(self.scores), bool), []
        for column, ignored in enumerate(self.ignored_truth):
            matching = free & (self.overlaps[:, column] > minimum)
            if matching.any():
                row = int(np.where(matching, self.scores, -np.inf).argmax())
                free[row] = False
                if not (ignored or self.ignored_found[row]):
                    matched.append(float(self.scores[row]))
        return matched

    def hits_and_errors(self, minimum: float, counted: Booleans) -> tuple[int, int]:
        """How much of what was found and is `counted` is true, and how much is not.

        Each that is true takes what overlaps it most, and something that is ignored where there is nothing else.
        """
        free, hits = counted.copy(), 0
        for column, ignored in enumerate(self.ignored_truth):
            matching = free & (self.overlaps[:, column] > minimum)
            if matching.any():
                better = matching & ~self.ignored_found
                row = int(np.where(better, self.overlaps[:, column], 0).argmax() if better.any() else matching.argmax())
                free[row] = False
                hits += not (ignored or self.ignored_found[row])
        return hits, int((free & ~self.ignored_found & ~self.covered).sum())


def precision_curve(frames: Sequence[Candidates], minimum: float) -> Array:
    """The best precision at each of `RECALLS` recalls or a higher one, `[41]`; 0 where so much was not found.

    Args:
        frames: What counts in each frame.
        minimum: The overlap beyond which an object is found.
    """
    true = sum(int((~one.ignored_truth).sum()) for one in frames)
    thresholds = _thresholds([score for one in frames for score in one.scores_of_matches(minimum)], true)
    hits, errors = np.zeros(len(thresholds)), np.zeros(len(thresholds))
    for one in frames:
        if not (one.overlaps > minimum).any():
            wrong = one.scores[~one.ignored_found & ~one.covered]
            errors += (wrong[:, None] >= thresholds).sum(axis=0)
            continue
        # Nothing of a frame changes between two thresholds but what scores enough.
        counts, which = np.unique((one.scores[:, None] >= thresholds).sum(axis=0), return_inverse=True)
        ranked = np.sort(one.scores)[::-1]
        for index, count in enumerate(counts.tolist()):
            counted = one.scores >= ranked[count - 1] if count else np.zeros(len(ranked), bool)
            hit, error = one.hits_and_errors(minimum, counted)
            hits[which == index] += hit
            errors[which == index] += error
    curve, found = np.zeros(RECALLS), hits + errors
    curve[: len(thresholds)] = np.divide(hits, found, out=np.zeros_like(hits), where=found > 0)
    return np.asarray(np.maximum.accumulate(curve[::-1])[::-1])


def _thresholds(scores: Sequence[float], true: int) -> Array:
    """Of the scores of what is true those at which recall comes nearest to each of `RECALLS`, from the best down."""
    chosen: list[float] = []
    recall, ranked = 0.0, sorted(scores, reverse=True)
    for index, score in enumerate(ranked):
        reached, is_last = (index + 1) / true, index == len(ranked) - 1
        following = reached if is_last else (index + 2) / true
        if following - recall < recall - reached and not is_last:
            continue
        chosen.append(score)
        recall += 1 / (RECALLS - 1)
    return np.array(chosen)
