"""Object key-point similarity, and the suppression of poses by it, as MMPose 1.3.2 does them.

https://cocodataset.org/#keypoints-eval
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

COCO_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
    *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)
"""How far people place each of COCO's 17 key points from each other, in shares of an object's size."""
MOST_SOFT = 20
"""Poses that soft suppression leaves of an image."""


def similarity(pose: Floats, others: Floats, area: float, areas: Floats, sigmas: Floats) -> Floats:
    """The similarity of a pose, `[k, 2]`, to each of others, `[n, k, 2]`, as `[n]`."""
    squares = ((others - pose) ** 2).sum(axis=2)
    sizes = (area + areas) / 2 + np.spacing(1)
    return np.asarray(np.exp(-squares / (2 * sigmas) ** 2 / sizes[:, None] / 2).mean(axis=1), np.float32)


def suppressed(poses: Floats, scores: Floats, areas: Floats, sigmas: Floats, threshold: float) -> list[int]:
    """Which poses, `[n, k, 2]`, are kept: the best first, and none too similar to one that is kept."""
    order = scores.argsort()[::-1]
    kept: list[int] = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(int(first))
        order = rest[similarity(poses[first], poses[rest], areas[first], areas[rest], sigmas) <= threshold]
    return kept


def softly_suppressed(poses: Floats, scores: Floats, areas: Floats, sigmas: Floats, threshold: float) -> list[int]:
    """Which poses are kept: at each step the best, where those that are similar to better ones score less."""
    order = scores.argsort()[::-1]
    left = scores[order]
    kept: list[int] = []
    while len(order) and len(kept) < MOST_SOFT:
        first, order = order[0], order[1:]
        kept.append(int(first))
        overlaps = similarity(poses[first], poses[order], areas[first], areas[order], sigmas)
        left = left[1:] * np.exp(-(overlaps**2) / threshold)
        again = left.argsort()[::-1]
        order, left = order[again], left[again]
    return kept
