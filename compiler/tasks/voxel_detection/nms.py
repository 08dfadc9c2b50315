"""Select the best of boxes that are seen from above: by their overlap, or by the distance of their centres."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.tasks.voxel_detection.boxes3d import rectangle_corners

Array = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Integers = NDArray[np.int64]

_INSIDE_MARGIN = 1e-9
"""How far outside, in metres, a corner may lie and count as inside: rounding must not lose one that lies on an edge."""

_PARALLEL = 1e-9
"""The sine of an angle up to which edges count as parallel."""

_AT_ONCE = 128


def rotated_nms(
    rectangles: Array, scores: Array, threshold: float, limit: int | None = None, most: int | None = None
) -> Integers:
    """The indices of the rectangles that overlap no better one that is kept, the best first.

    Args:
        rectangles: `[n, 5]`: x, y, length, width and angle.
        scores: `[n]`; among equal ones the first rectangle is the better.
        threshold: Rectangles with a higher intersection over union than this exclude each other.
        limit: Only so many of the best are looked at; None for all.
        most: So many are returned at most; None for all.
    """
    order = np.argsort(-scores, kind="stable")[:limit]
    kept = order[:0]
    # A few at a time: what those that are kept exclude is compared with nothing else, and most may be reached early.
    for start in range(0, len(order), _AT_ONCE):
        rest = order[start : start + _AT_ONCE]
        rest = rest[~(rotated_overlaps(rectangles[kept], rectangles[rest]) > threshold).any(axis=0)]
        overlaps = rotated_overlaps(rectangles[rest], rectangles[rest], np.tri(len(rest), k=-1, dtype=bool).T)
        kept = np.concatenate([kept, _greedily(rest, overlaps > threshold)])
        if most is not None and len(kept) >= most:
            break
    return kept[:most]


def circle_nms(centers: Array, scores: Array, threshold: float) -> Integers:
    """The indices of the centres that are near no better one that is kept, the best first.

    Args:
        centers: `[n, 2]`, in metres.
        scores: `[n]`; among equal ones the last is the better, as for MMDetection3D.
        threshold: Centres exclude each other whose distance, squared, is not more than this.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    return _greedily(order, squared_distances(centers[order], centers[order]) <= threshold)


def squared_distances(a: Array, b: Array) -> Array:
    """The squared distance of each of the points `[n, 2]` to each of `[m, 2]`, as `[n, m]`."""
    x, y = (a[:, None, axis] - b[None, :, axis] for axis in (0, 1))
    apart: Array = x * x + y * y
    return apart


def rotated_overlaps(a: Array, b: Array, wanted: Booleans | None = None) -> Doubles:
    """The intersection over union of each of the rectangles `[n, 5]` with each of `[m, 5]`, as `[n, m]`.

    Args:
        a: The ones.
        b: The others.
        wanted: `[n, m]`, the pairs that are looked at, the others are 0; None for all.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    shared = shared_areas(a, b, wanted)
    with np.errstate(invalid="ignore", over="ignore"):  # what is endless shares nothing that could be told
        union = (a[:, 2] * a[:, 3])[:, None] + b[:, 2] * b[:, 3] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=(union > 0) & (shared > 0))


def shared_areas(a: Array, b: Array, wanted: Booleans | None = None) -> Doubles:
    """The area that each of the rectangles `[n, 5]` has in common with each of `[m, 5]`; see `rotated_overlaps`."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    reach_a, reach_b = (np.hypot(one[:, 2], one[:, 3]) / 2 for one in (a, b))
    # Most rectangles are too far from each other to touch.
    near = squared_distances(a[:, :2], b[:, :2]) < (reach_a[:, None] + reach_b[None]) ** 2
    rows, columns = np.nonzero(near if wanted is None else near & wanted)
    areas = np.zeros(near.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        areas[rows, columns] = intersections(a[rows], b[columns])
    return areas


def intersections(a: Array, b: Array) -> Doubles:
    """The areas that rectangles `[n, 5]` have in common with rectangles `[n, 5]`, one by one.

    The common area is convex, and its corners are corners of the one within the other and points where edges cross.
    """
    # Near the origin, so that the digits are left for what matters.
    origin = np.array(a[:, :2], np.float64)
    a, b = (np.concatenate([one[:, :2] - origin, one[:, 2:]], axis=1) for one in (a, b))
    corners_a, corners_b = rectangle_corners(a), rectangle_corners(b)
    crossings, do_cross = _crossings(corners_a, corners_b)
    points = np.concatenate([corners_a, corners_b, crossings], axis=1)
    valid = np.concatenate([_inside(corners_a, b), _inside(corners_b, a), do_cross], axis=1)
    return _hull_areas(points, valid)


def _greedily(order: Integers, excludes: Booleans) -> Integers:
    """Those of `order` that no earlier one excludes which is itself kept."""
    later = np.triu(excludes, 1)
    alive = np.ones(len(order), bool)
    for index in np.flatnonzero(later.any(axis=1)).tolist():
        if alive[index]:
            alive[later[index]] = False
    return order[alive]


def _inside(points: Doubles, rectangles: Array) -> Booleans:
    """Tell which of points `[n, p, 2]` are in rectangles `[n, 5]`."""
    cosine, sine = np.cos(rectangles[:, 4:]), np.sin(rectangles[:, 4:])
    x, y = np.moveaxis(points - rectangles[:, None, :2], -1, 0)
    along, across = np.abs(x * cosine + y * sine), np.abs(y * cosine - x * sine)
    half = rectangles[:, 2:4] / 2 + _INSIDE_MARGIN
    return np.asarray((along <= half[:, :1]) & (across <= half[:, 1:]))


def _crossings(a: Doubles, b: Doubles) -> tuple[Doubles, Booleans]:
    """Where the edges of quadrangles `[n, 4, 2]` cross, `[n, 16, 2]`, and which of them do."""
    start_a, start_b = a[:, :, None], b[:, None]
    edge_a, edge_b = np.roll(a, -1, axis=1)[:, :, None] - start_a, np.roll(b, -1, axis=1)[:, None] - start_b
    between = start_b - start_a
    turn = _cross(edge_a, edge_b)
    # Edges that lie upon each other cross nowhere, or rounding has them cross anywhere; their ends are corners within.
    lengths = np.linalg.norm(edge_a, axis=-1) * np.linalg.norm(edge_b, axis=-1)
    turn[np.abs(turn) <= _PARALLEL * lengths] = np.nan
    with np.errstate(invalid="ignore"):
        along_a, along_b = _cross(between, edge_b) / turn, _cross(between, edge_a) / turn
        do_cross = (along_a >= 0) & (along_a <= 1) & (along_b >= 0) & (along_b <= 1)
        points = start_a + along_a[..., None] * edge_a
    return points.reshape(len(a), 16, 2), do_cross.reshape(len(a), 16)


def _hull_areas(points: Doubles, valid: Booleans) -> Doubles:
    """The areas of convex polygons whose corners, `[n, p, 2]`, are in no order and only some of them valid."""
    count = np.maximum(valid.sum(axis=1), 1)
    points = np.where(valid[..., None], points, 0)
    around = points - (points.sum(axis=1) / count[:, None])[:, None]
    angles = np.where(valid, np.arctan2(around[..., 1], around[..., 0]), np.inf)
    order = np.argsort(angles, axis=1)
    outline = np.take_along_axis(around, order[..., None], axis=1)
    # What is not valid comes last; the first corner instead closes the outline and adds nothing.
    is_last = np.take_along_axis(~valid, order, axis=1)
    outline = np.where(is_last[..., None], outline[:, :1], outline)
    area: Doubles = _cross(outline, np.roll(outline, -1, axis=1)).sum(axis=1) / 2
    return np.where(valid.any(axis=1), area, 0.0)


def _cross(a: Doubles, b: Doubles) -> Doubles:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])
