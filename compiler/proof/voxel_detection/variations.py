"""Make several clouds, with as many voxels as wanted, out of one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from compiler.tasks.points import Points
from compiler.tasks.voxel_detection.voxelization import Voxelization, Voxels, padded

_TURN = 0.15
"""Radians by which a cloud is turned at most: one that a camera's view bounds stays in range."""
_KEPT = 0.9
"""Share of the points that are kept."""
_ROUNDS = 12


def variation(points: Points, index: int) -> Points:
    """A cloud `[n, d]` turned about z and thinned out, every other time mirrored; at index 0 as it is."""
    if index == 0:
        return points
    generator = np.random.default_rng(index)
    varied = points[generator.random(len(points)) < _KEPT]
    angle = generator.uniform(-_TURN, _TURN)
    cosine, sine = np.cos(angle), np.sin(angle)
    mirror = -1 if index % 2 else 1
    x, y = varied[:, 0].copy(), mirror * varied[:, 1]
    varied[:, 0], varied[:, 1] = x * cosine - y * sine, x * sine + y * cosine
    return varied


def exactly(points: Points, voxelization: Voxelization, voxels: int) -> Voxels:
    """Exactly that many voxels of a cloud `[n, d]`, at least one of whose points is in range.

    Where the cloud fills fewer, its points are scattered around themselves, farther and farther, until they do. Where
    even that does not fill as many, the last voxel is repeated.
    """
    voxelization = replace(voxelization, max_voxels=voxels)
    found = voxelization(points)
    generator = np.random.default_rng(0)
    scattered = [points]
    for round_ in range(_ROUNDS):
        if len(found.voxels) == voxels:
            break
        more = points.copy()
        reach = np.array(voxelization.voxel_size[:2]) * (1 + round_) ** 2
        more[:, :2] += generator.normal(0, reach, (len(points), 2)).astype(np.float32)
        scattered.append(more)
        found = voxelization(np.concatenate(scattered))
    return padded(found, voxels)
