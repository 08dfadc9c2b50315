"""How nuScenes pairs what was found with what is true, by the distance of centres, and what follows for one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.metrics.nuscenes_boxes import Boxes

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

ERRORS = ("trans_err", "scale_err", "orient_err", "vel_err", "attr_err")
"""Of what was found and is true: in metres; one minus the overlap of the sizes; in radians; in metres a second; 1 where
the attribute is wrong."""
RECALLS = np.linspace(0, 1, 101)
FIRST = 11
"""The first of `RECALLS` that counts: beyond 0.1."""
MIN_PRECISION = 0.1
"""What precision is counted from."""
_HALF_TURN_ALIKE = "barrier"
"""The class that has no front."""


@dataclass(frozen=True, eq=False)
class Matches:
    """What was found of one class, the surest first.

    Attributes:
        true: How many objects there are.
        scores: `[n]`.
        is_hit: `[n]`, whether it is true.
        errors: Of each that is true, `[m]`, by the names in `ERRORS`; nan where that cannot be told.
    """

    true: int
    scores: Array
    is_hit: NDArray[np.bool_]
    errors: Mapping[str, Array]

    @property
    def confidences(self) -> Array:
        """The score at each of `RECALLS`, `[101]`; 0 where so much was not found."""
        return np.interp(RECALLS, self._recalls, self.scores, right=0)

    @property
    def average_precision(self) -> float:
        """The mean precision beyond a recall and a precision of 0.1, from 0 to 1."""
        if not self.is_hit.any():
            return 0.0
        precision = np.cumsum(self.is_hit) / np.arange(1, len(self.is_hit) + 1)
        curve = np.interp(RECALLS, self._recalls, precision, right=0)
        return float(np.maximum(curve[FIRST:] - MIN_PRECISION, 0).mean() / (1 - MIN_PRECISION))

    def error(self, name: str) -> float:
        """The mean of an error over the recalls beyond 0.1 that were reached; 1 where none was."""
        if not self.is_hit.any():
            return 1.0
        confidences = self.confidences
        (reached,) = np.nonzero(confidences)
        last = int(reached[-1]) if len(reached) else 0
        if last < FIRST:
            return 1.0
        of_hits = self.scores[self.is_hit]
        curve = np.interp(confidences[::-1], of_hits[::-1], _running_mean(self.errors[name])[::-1])[::-1]
        return float(curve[FIRST : last + 1].mean())

    @property
    def _recalls(self) -> Array:
        return np.asarray(np.cumsum(self.is_hit) / float(self.true))


def matches(samples: Sequence[tuple[Boxes, Boxes]], distance: float) -> Matches:
    """What was found of a class.

    Args:
        samples: What is true and what was found of it in each.
        distance: In metres, up to which what was found is true.
    """
    parts = [_of_sample(true, found, distance) for true, found in samples]
    scores = np.concatenate([part.scores for part in parts] or [np.zeros(0)])
    is_hit = np.concatenate([part.is_hit for part in parts] or [np.zeros(0, bool)])
    order = _surest_first(scores)
    errors = {}
    for error in ERRORS:
        of_all = np.full(len(scores), np.nan)
        of_all[is_hit] = np.concatenate([part.errors[error] for part in parts] or [np.zeros(0)])
        errors[error] = of_all[order][is_hit[order]]
    return Matches(sum(part.true for part in parts), scores[order], is_hit[order], errors)


def _of_sample(true: Boxes, found: Boxes, distance: float) -> Matches:
    """What was found in one sample, in the order in which it was found: the surer takes the nearest that is left."""
    apart = np.linalg.norm(found.centers[:, None, :2] - true.centers[None, :, :2], axis=-1)
    nearest = np.full(len(found.scores), -1)
    if apart.size:
        candidates = np.flatnonzero((apart < distance).any(axis=1))
        for row in candidates[_surest_first(found.scores[candidates])]:
            column = int(apart[row].argmin())
            if apart[row, column] < distance:
                nearest[row] = column
                apart[:, column] = np.inf
    is_hit = nearest >= 0
    return Matches(len(true.names), found.scores, is_hit, _errors(true[nearest[is_hit]], found[is_hit]))


def _surest_first(scores: Array) -> Integers:
    """Of equal ones the last, as for nuScenes."""
    return np.asarray(np.argsort(scores, kind="stable")[::-1])


def _errors(true: Boxes, found: Boxes) -> dict[str, Array]:
    """The errors of what was found, one by one."""
    shared = np.minimum(true.sizes, found.sizes).prod(axis=1)
    union = true.sizes.prod(axis=1) + found.sizes.prod(axis=1) - shared
    periods = np.where(true.names == _HALF_TURN_ALIKE, np.pi, 2 * np.pi)
    turned = (true.yaws - found.yaws + periods / 2) % periods - periods / 2
    return {
        "trans_err": np.linalg.norm(found.centers[:, :2] - true.centers[:, :2], axis=1),
        "scale_err": 1 - np.divide(shared, union, out=np.zeros_like(shared), where=union > 0),
        "orient_err": np.abs(turned),
        "vel_err": np.linalg.norm(found.velocities - true.velocities, axis=1),
        "attr_err": np.where(true.attributes == "", np.nan, (true.attributes != found.attributes).astype(np.float64)),
    }


def _running_mean(values: Array) -> Array:
    """The mean of all values so far that are told; 1 where none is."""
    told = ~np.isnan(values)
    if not told.any():
        return np.ones(len(values))
    sums, counts = np.nancumsum(values), np.cumsum(told)
    return np.asarray(np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0))
