"""Sort the points of a cloud into voxels: boxes of one size, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.spans import Span
from compiler.tasks.points import Points

Integers = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Voxels:
    """The voxels of a cloud that hold points, in the order in which its points enter them.

    Attributes:
        voxels: `[v, max_num_points, d]`, the points in each, zero where it has no more.
        num_points: `[v]`, how many they are.
        coors: `[v, 3]`, place of each in the grid: z, y, x.
    """

    voxels: Points
    num_points: Integers
    coors: Integers


@dataclass(frozen=True)
class Voxelization:
    """Hard voxelisation, as MMDetection3D 1.4.0 does it.

    Attributes:
        voxel_size: Of each voxel along x, y, z, in metres.
        point_cloud_range: Smallest and then largest x, y, z; points at the largest lie outside.
        max_num_points: Of a voxel; points that come later are dropped.
        max_voxels: Of a cloud; points that would need more are dropped.

    Raises:
        ValueError: A size or a number is not positive, or the range is empty.
    """

    voxel_size: tuple[float, float, float]
    point_cloud_range: tuple[float, float, float, float, float, float]
    max_num_points: int
    max_voxels: int

    def __post_init__(self) -> None:
        if min(*self.voxel_size, self.max_num_points, self.max_voxels) <= 0:
            raise ValueError("voxel_size, max_num_points and max_voxels must be positive")
        if min(self.grid) < 1:
            raise ValueError(f"point_cloud_range is {self.point_cloud_range}, which holds no voxel")

    @property
    def grid(self) -> tuple[int, int, int]:
        """Number of voxels along x, y, z."""
        low, high = np.array(self.point_cloud_range, np.float32).reshape(2, 3)
        x, y, z = np.rint((high - low) / np.array(self.voxel_size, np.float32)).astype(int).tolist()
        return x, y, z

    def cells(self, points: Points) -> NDArray[np.int64]:
        """The place of each point in the grid, `[n, 3]` as z, y, x; -1 thrice for those outside."""
        low, size = np.array(self.point_cloud_range[:3], np.float32), np.array(self.voxel_size, np.float32)
        # In single precision, as the original: which of two voxels a point on their border is in depends on it.
        with np.errstate(over="ignore"):  # of points that are farther away than a number can say: they are outside
            x, y, z = np.floor((points[:, :3].T.astype(np.float32, order="C") - low[:, None]) / size[:, None])
        columns, rows, layers = self.grid
        inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows) & (z >= 0) & (z < layers)
        cells = np.full((len(points), 3), -1, np.int64)
        cells[inside] = np.stack([z[inside], y[inside], x[inside]], axis=1)
        return cells

    @Span("voxelise")
    def __call__(self, points: Points) -> Voxels:
        """Sort points `[n, d]` into voxels."""
        cells = self.cells(points)
        inside = np.flatnonzero(cells[:, 0] >= 0)
        points, cells = points[inside], cells[inside]
        columns, rows, _ = self.grid
        keys = (cells[:, 0] * rows + cells[:, 1]) * columns + cells[:, 2]
        # By voxel, and within each in the order of the cloud.
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        counts = np.diff(starts, append=len(keys))
        by_appearance = np.argsort(order[starts])[: self.max_voxels]
        ranks = np.full(len(starts), -1)
        ranks[by_appearance] = np.arange(len(by_appearance))
        slots = np.arange(len(keys)) - np.repeat(starts, counts)
        voxels = np.repeat(ranks, counts)
        in_bounds = (slots < self.max_num_points) & (voxels >= 0)
        filled = np.zeros((len(by_appearance), self.max_num_points, points.shape[1]), np.float32)
        filled[voxels[in_bounds], slots[in_bounds]] = points[order[in_bounds]]
        num_points = np.minimum(counts[by_appearance], self.max_num_points)
        coors = cells[order[starts[by_appearance]]]
        return Voxels(filled, num_points.astype(np.int32), coors.astype(np.int32))


def padded(found: Voxels, voxels: int) -> Voxels:
    """The first voxels, or all and the last one again and again: whoever lays them out writes it once."""
    rows = np.minimum(np.arange(voxels), len(found.voxels) - 1)
    return Voxels(found.voxels[rows], found.num_points[rows], found.coors[rows])
