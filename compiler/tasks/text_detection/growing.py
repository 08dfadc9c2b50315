"""Grow labelled regions pixel by pixel, as a queue would, but a whole wave of pixels at once.

A queue hands out the pixels of one wave before those of the next. Within a wave a free pixel goes to the first in the
queue that reaches it; and whatever is reached joins the queue in that same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Booleans = NDArray[np.bool_]
Indices = NDArray[np.intp]
Labels = NDArray[np.int32]
ScalarT = TypeVar("ScalarT", bound=np.generic)

Accepts = Callable[[Labels, Indices], Booleans]
"""Tells, given the labels that reach for pixels and these pixels, as `bordered` maps count them, which may be taken."""

Step = tuple[int, int]
UP, DOWN, LEFT, RIGHT = (-1, 0), (1, 0), (0, -1), (0, 1)


def spread(labels: Labels, mask: Booleans, steps: tuple[Step, ...], accepts: Accepts | None = None) -> Labels:
    """Let regions take free neighbours, and these theirs, until none is left to take.

    Args:
        labels: `[h, w]`, 0 where there is no region yet; row by row, its pixels are the first in the queue.
        mask: `[h, w]`, where regions may grow.
        steps: From a pixel to its neighbours, in the order in which it reaches for them.
        accepts: What else decides whether a pixel may be taken, and by whom.
    """
    shape = labels.shape[0] + 2, labels.shape[1] + 2
    owners = bordered(labels)
    free = bordered(mask) & (owners == 0)
    offsets = np.array([down * shape[1] + right for down, right in steps])
    queue = np.flatnonzero(owners)
    first = np.empty(owners.size, np.intp)
    while len(queue):
        reached = (queue[:, None] + offsets).reshape(-1)
        possible = np.flatnonzero(free[reached])
        if accepts is not None:
            possible = possible[accepts(owners[queue[possible // len(steps)]], reached[possible])]
        wanted = reached[possible]
        first[wanted[::-1]] = possible[::-1]  # of those that reach for one pixel the first is written last, and stays
        chosen = possible[first[wanted] == possible]
        taken = reached[chosen]
        owners[taken] = owners[queue[chosen // len(steps)]]
        free[taken] = False
        queue = taken
    return owners.reshape(shape)[1:-1, 1:-1]


def bordered(maps: NDArray[ScalarT]) -> NDArray[ScalarT]:
    """Maps, `[..., h, w]`, with a border of zeros, and flattened: `[..., (h + 2) * (w + 2)]`."""
    wider = np.pad(maps, [(0, 0)] * (maps.ndim - 2) + [(1, 1)] * 2)
    return wider.reshape(*maps.shape[:-2], -1)


def members(labels: Labels) -> list[Indices]:
    """The flat indices, row by row, of the pixels with each label that occurs, from 1 on."""
    inside = np.flatnonzero(labels)
    own = labels.reshape(-1)[inside]
    order = np.argsort(own, kind="stable")
    starts = np.flatnonzero(np.diff(own[order], prepend=0))
    return np.split(inside[order], starts)[1:]
