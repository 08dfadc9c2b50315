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

    @property
    def true(self) -> int:
        """How many are to be found."""
        return int((~self.ignored_truth).sum())

    def scores_of_matches(self, minimum: float) -> list[float]:
        """The scores of what was found and is true, where each that is true takes what scores most."""
        pairs = _pairs(self._preferred(minimum, self.scores[:, None]), set(range(len(self.scores))))
        return [float(self.scores[row]) for row, column in pairs if self._is_hit(row, column)]

    def hits_and_errors(self, minimum: float, thresholds: Array) -> tuple[Array, Array]:
        """How much of what was found and scores as much as each threshold is true, and how much is not, `[n]` each.

        Each that is true takes what overlaps it most, and something that is ignored where there is nothing else.
        """
        may_be_wrong = ~self.ignored_found & ~self.covered
        hits = np.zeros(len(thresholds))
        errors = (self.scores[may_be_wrong, None] >= thresholds).sum(axis=0).astype(np.float64)
        preferred = self._preferred(minimum, np.where(self.ignored_found[:, None], -1.0, self.overlaps))
        if any(preferred):
            enough = self.scores[:, None] >= thresholds
            # Nothing changes between two thresholds but what scores enough.
            counts, which = np.unique(enough.sum(axis=0), return_inverse=True)
            for index in range(len(counts)):
                alike = which == index
                pairs = _pairs(preferred, set(np.flatnonzero(enough[:, alike.argmax()]).tolist()))
                hits[alike] = sum(self._is_hit(row, column) for row, column in pairs)
                errors[alike] -= sum(bool(may_be_wrong[row]) for row, _ in pairs)
        return hits, errors

    def _preferred(self, minimum: float, ranks: Array) -> list[list[int]]:
        """For each that is true what was found and overlaps it enough, that of the highest rank first."""
        ranks = np.broadcast_to(ranks, self.overlaps.shape)
        columns = range(self.overlaps.shape[1])
        enough = [np.flatnonzero(self.overlaps[:, column] > minimum) for column in columns]
        return [rows[np.argsort(-ranks[rows, column], kind="stable")].tolist() for column, rows in enumerate(enough)]

    def _is_hit(self, row: int, column: int) -> bool:
        return not (self.ignored_truth[column] or self.ignored_found[row])


def _pairs(preferred: Sequence[Sequence[int]], free: set[int]) -> list[tuple[int, int]]:
    """What was found and what is true, where each in turn takes what it prefers of what is still free."""
    pairs = []
    for column, rows in enumerate(preferred):
        taken = next((row for row in rows if row in free), None)
        if taken is not None:
            free.remove(taken)
            pairs.append((taken, column))
    return pairs


def precision_curve(frames: Sequence[Candidates], minimum: float) -> Array:
    """The best precision at each of `RECALLS` recalls or a higher one, `[41]`; 0 where so much was not found.

    Args:
        frames: What counts in each frame.
        minimum: The overlap beyond which an object is found.
    """
    true = sum(one.true for one in frames)
    thresholds = _thresholds([score for one in frames for score in one.scores_of_matches(minimum)], true)
    hits, errors = np.zeros(len(thresholds)), np.zeros(len(thresholds))
    for one in frames:
        of_frame = one.hits_and_errors(minimum, thresholds)
        hits, errors = hits + of_frame[0], errors + of_frame[1]
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
