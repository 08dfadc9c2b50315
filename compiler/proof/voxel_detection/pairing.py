"""Which boxes of two lists are the same object, and which of them only rounding decided about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.numerics import absolute_errors
from compiler.proof.pairing import SCORE_MARGIN, UNDECIDED_SHARE, Pairing, one_to_one
from compiler.tasks.voxel_detection.boxes3d import Boxes3D, box_corners
from compiler.tasks.voxel_detection.decoder import Decoder

SAME = 0.2
"""Metres within which the centres of one object lie; boxes that exclude each other for less leave one."""
EXCLUSION_MARGIN = 1e-2
"""An exclusion this near to 1, and rounding decides which of two boxes is kept."""


def pair(first: Boxes3D, second: Boxes3D, decoder: Decoder) -> Pairing:
    """Pair boxes of one list with those of the same class in another that are nearest.

    A box that one list lacks is undecided where its score is at the lowest that is kept, where it and a box that the
    other list has exclude each other just about, or score the same, and where an undecided box excludes it. Where that
    would be more than a few, none are.
    """
    pairs = _pairs(first, second)
    boxes = first, second
    lone = [np.setdiff1d(np.arange(len(side)), [one[which] for one in pairs]) for which, side in enumerate(boxes)]
    undecided = np.zeros(len(first), bool), np.zeros(len(second), bool)
    exclusion = decoder.exclusion(first, second)
    ahead = first.scores[:, None].astype(np.float64) - second.scores[None]
    # The best first: only a better box excludes another, or one as good, and that one's fate does not matter.
    waiting = [(-float(side.scores[row]), which, int(row)) for which, side in enumerate(boxes) for row in lone[which]]
    for _, which, row in sorted(waiting):
        own, other = boxes[which], boxes[1 - which]
        strength, lead = (exclusion[row], ahead[row]) if which == 0 else (exclusion[:, row], -ahead[:, row])
        may_exclude = (strength > 1 - EXCLUSION_MARGIN) & (lead <= SCORE_MARGIN)
        is_tied = (strength < 1 + EXCLUSION_MARGIN) | (np.abs(lead) < SCORE_MARGIN)
        is_marginal = own.scores[row] <= decoder.lowest(other, int(own.labels[row])) + SCORE_MARGIN
        undecided[which][row] = is_marginal or (may_exclude & (is_tied | undecided[1 - which])).any()
    few = UNDECIDED_SHARE * min(len(first), len(second))
    if max(side.sum() for side in undecided) > few:
        undecided = np.zeros_like(undecided[0]), np.zeros_like(undecided[1])
    return Pairing(pairs, undecided)


def corner_distance(a: NDArray[np.float32], b: NDArray[np.float32], bounds: tuple[float, ...]) -> float:
    """How far corners of box `a` `[7]` are from the same corners of `b` at most, in metres.

    A box that faces the other way covers the same: where the two directions score the same, rounding decides.

    Args:
        a: A box.
        b: Another.
        bounds: Smallest and then largest x, y, z that were looked at. Corners that lie out of it by more than half of
            its extent are moved there: sizes grow exponentially with what a network says, and so does their rounding.
    """
    turned = b.copy()
    turned[6] += np.float32(np.pi)
    low, high = np.array(bounds).reshape(2, 3)
    beyond = (high - low) / 2
    corners = np.clip(box_corners(np.stack([a, b, turned])), low - beyond, high + beyond)
    return float(np.linalg.norm(corners[0] - corners[1:], axis=-1).max(axis=-1).min())


def corner_bounds(a: NDArray[np.float32], b: NDArray[np.float32], bounds: tuple[float, ...]) -> NDArray[np.float64]:
    """How far corners of boxes `a` `[n, 7]` can be from those of `b` in the same place, `[n]`, in metres.

    Which way a box faces does not matter. Equal infinities are equal, and NaN is equal to nothing.

    Args:
        a: Boxes.
        b: Others.
        bounds: Smallest and then largest x, y, z that were looked at. Where a side is longer than that, its metres are
            as many times longer, and an angle is held to what is seen of its box.
    """
    first, second = a[:, :7].astype(np.float64), b[:, :7].astype(np.float64)
    low, high = np.array(bounds).reshape(2, 3)
    extent, sides = high - low, first[:, 3:6]
    scale = np.maximum(np.where(np.isfinite(sides), sides, 0) / extent, 1)
    apart = absolute_errors(first, second)
    apart[:, 2] /= scale[:, 2]  # the height is in it: what is decoded is the middle
    turn = np.mod(apart[:, 6], np.pi)
    reach = np.hypot(*np.minimum(sides[:, :2], extent[:2]).T) / 2
    moved = np.linalg.norm(apart[:, :3], axis=1) + np.linalg.norm(apart[:, 3:6] / scale, axis=1)
    return np.asarray(moved + np.minimum(turn, np.pi - turn) * reach)


def _pairs(first: Boxes3D, second: Boxes3D) -> list[tuple[int, int]]:
    """Who is nearest to whom; the nearest score decides between equal distances."""
    apart = np.linalg.norm(_middles(first)[:, None] - _middles(second)[None], axis=-1)
    ones, others = np.nonzero((apart < SAME) & (first.labels[:, None] == second.labels[None]))
    scores = np.abs(first.scores[ones] - second.scores[others])
    return one_to_one(ones, others, np.lexsort((scores, apart[ones, others])))


def _middles(boxes: Boxes3D) -> NDArray[np.float64]:
    middles = boxes.boxes[:, :3].astype(np.float64)
    middles[:, 2] += boxes.boxes[:, 5] / 2
    return middles
