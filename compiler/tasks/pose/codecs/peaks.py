"""Where the peaks of heat maps lie, to a fraction of a pixel."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from compiler.tasks.pose.codecs.codec import Floats

Doubles = NDArray[np.float64]
Samples = Callable[[int, int], Floats]
"""From a step to the right and a step down to the values `[n, k]` there."""


def highest(heatmaps: Floats) -> tuple[Floats, Floats]:
    """Find the highest pixel of each map.

    Args:
        heatmaps: `[n, k, h, w]`.

    Returns:
        Its column and row, `[n, k, 2]`, or -1 where no value is positive, and its value, `[n, k]`.
    """
    count, maps, height, width = heatmaps.shape
    flat = heatmaps.reshape(count, maps, height * width)
    rows, columns = np.divmod(flat.argmax(axis=-1), width)
    values = flat.max(axis=-1)
    points = np.stack([columns, rows], axis=-1).astype(np.float32)
    points[values <= 0] = -1
    return points, values


def away_from_edges(heatmaps: Floats, points: Floats, before: int, after: int) -> NDArray[np.bool_]:
    """Which points have `before` pixels to the left and above, and `after` to the right and below: `[n, k]`."""
    last = np.array(heatmaps.shape[:1:-1]) - 1
    return np.asarray(((points >= before) & (points <= last - after)).all(axis=-1))


def quarter_offset(heatmaps: Floats, points: Floats) -> Floats:
    """A quarter of a pixel towards the higher neighbour along x and y, `[n, k, 2]`.

    It is zero along an axis where the point is one of the first two or the last of its line, and along both where one
    of its coordinates is 0.
    """
    at = _samples(heatmaps, points)
    slopes = np.stack([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)], axis=-1)
    last = np.array(heatmaps.shape[:1:-1]) - 1
    inside = (points > 1) & (points < last) & (points > 0).all(axis=-1, keepdims=True)
    return np.where(inside, np.sign(slopes) * np.float32(0.25), np.float32(0))


def dark_offset(heatmaps: Floats, points: Floats, kernel: int) -> Doubles:
    """The way from each highest pixel to the peak of the Gaussian around it, `[n, k, 2]` (arXiv:1910.06278).

    Derivatives reach two pixels; it is zero for points that are nearer to an edge.
    """
    at = _samples(np.log(np.maximum(blurred(heatmaps, kernel), np.float32(1e-10))), points)
    half, quarter = np.float32(0.5), np.float32(0.25)
    offset = _newton_step(
        dx=half * (at(1, 0) - at(-1, 0)),
        dy=half * (at(0, 1) - at(0, -1)),
        dxx=quarter * (at(2, 0) - 2 * at(0, 0) + at(-2, 0)),
        dxy=quarter * (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)),
        dyy=quarter * (at(0, 2) - 2 * at(0, 0) + at(0, -2)),
    )
    return np.where(away_from_edges(heatmaps, points, before=2, after=2)[..., None], offset, 0.0)


def udp_offset(heatmaps: Floats, points: Floats, kernel: int) -> Doubles:
    """The same as `dark_offset` with the derivatives of UDP (arXiv:1911.07524), which reach one pixel.

    At an edge the map is continued by its last values. Points that are nowhere stay there.
    """
    at = _samples(np.log(np.clip(blurred(heatmaps, kernel), np.float32(1e-3), np.float32(50))), points)
    half, middle = np.float32(0.5), at(0, 0)
    offset = _newton_step(
        dx=half * (at(1, 0) - at(-1, 0)),
        dy=half * (at(0, 1) - at(0, -1)),
        dxx=at(1, 0) - 2 * middle + at(-1, 0),
        dxy=half * (at(1, 1) - at(1, 0) - at(0, 1) + middle + middle - at(-1, 0) - at(0, -1) + at(-1, -1)),
        dyy=at(0, 1) - 2 * middle + at(0, -1),
        damping=float(np.finfo(np.float32).eps),
    )
    return np.where((points >= 0).all(axis=-1, keepdims=True), offset, 0.0)


def blurred(heatmaps: Floats, kernel: int) -> Floats:
    """Blur each map by a Gaussian of odd size `kernel`, with zeros around it, and scale it to the peak it had."""
    height, width = heatmaps.shape[2:]
    border = (kernel - 1) // 2
    margins = ((0, 0), (border, border), (border, border))
    smooth = np.empty((heatmaps.shape[0] * heatmaps.shape[1], height, width), np.float32)
    for target, source in zip(smooth, np.pad(heatmaps.reshape(smooth.shape), margins), strict=True):
        blur = cv2.GaussianBlur(source, (kernel, kernel), 0)
        target[:] = blur[border : border + height, border : border + width]
    smooth = smooth.reshape(heatmaps.shape)
    before, after = (maps.max(axis=(2, 3), keepdims=True) for maps in (heatmaps, smooth))
    smooth *= np.divide(before, after, out=np.ones_like(before), where=after != 0)
    return smooth


def _samples(heatmaps: Floats, points: Floats) -> Samples:
    """A look-up around whole points, `[n, k, 2]`; beyond an edge lies what lies on it."""
    count, maps, height, width = heatmaps.shape
    flat = heatmaps.reshape(count, maps, height * width)
    columns, rows = np.moveaxis(points.astype(np.int64), -1, 0)

    def sample(right: int, down: int) -> Floats:
        index = np.clip(rows + down, 0, height - 1) * width + np.clip(columns + right, 0, width - 1)
        return np.take_along_axis(flat, index[..., None], axis=-1)[..., 0]

    return sample


def _newton_step(dx: Floats, dy: Floats, dxx: Floats, dxy: Floats, dyy: Floats, damping: float = 0.0) -> Doubles:
    """The way to the extremum of a paraboloid, `[n, k, 2]`, given its derivatives, each `[n, k]`.

    It is zero where there is none, or more than one. `damping` is added to the curvatures along the axes.
    """
    dx, dy, dxx, dxy, dyy = np.stack([dx, dy, dxx, dxy, dyy]).astype(np.float64)
    dxx, dyy = dxx + damping, dyy + damping
    determinant = (dxx * dyy - dxy**2)[..., None]
    step = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], axis=-1)
    return np.asarray(np.divide(step, determinant, out=np.zeros_like(step), where=determinant != 0))
