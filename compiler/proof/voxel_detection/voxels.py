"""Objects in point clouds, compared by the corners of their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compiler.artifact import Tensors
from compiler.proof.task_proof import TaskProof
from compiler.proof.voxel_detection.pairing import corner_distance, pair
from compiler.proof.voxel_detection.variations import exactly, variation
from compiler.tasks import Sample
from compiler.tasks.points import Points
from compiler.tasks.voxel_detection.boxes3d import Boxes3D
from compiler.tasks.voxel_detection.task import Detection3D, PreparedVoxels, VoxelDetection, prepared_clouds

if TYPE_CHECKING:
    from compiler.config.sizes import Size


@dataclass(frozen=True)
class VoxelDetectionProof(TaskProof[Points, PreparedVoxels, Detection3D]):
    """Objects, paired by the middles of their boxes."""

    unit: ClassVar[str] = "m"
    limit: ClassVar[float] = 0.2
    things: ClassVar[str] = "objects"

    task: VoxelDetection

    def samples(self, sample: Sample[Points], count: int, size: Size) -> PreparedVoxels:
        """A cloud, and then others that are like it, which together have exactly as many voxels as `size` says.

        A batch of equal clouds would not show an engine that mixes up its items, and equal voxels none that mixes up
        those.

        Raises:
            ValueError: There are more clouds than voxels.
        """
        (total,) = size
        points, voxelization = sample.source, self.task.voxelization
        if count > total:
            raise ValueError(f"{count} clouds cannot share {total} voxels")
        self.task.voxels(points)  # refuses a cloud of which nothing is in range
        shares = [total // count + (index < total % count) for index in range(count)]
        clouds = []
        for index, share in enumerate(shares):
            varied = variation(points, index)
            in_range = (voxelization.cells(varied) >= 0).any()
            clouds.append(exactly(varied if in_range else points, voxelization, share))
        return prepared_clouds(clouds)

    def other_samples(self, sample: Sample[Points], count: int, size: Size) -> Tensors:
        """The inputs of a batch of other clouds; see `TaskProof.other_samples`."""
        return self.samples(Sample(variation(sample.source, count)), count, size).tensors

    def difference(self, a: Sequence[Detection3D], b: Sequence[Detection3D]) -> float:
        """How far corners of an object's box in `a` are from the same in `b` at most, in metres.

        Infinity where one of them lacks an object, unless only rounding decided about it; see `pair`.
        """
        distances = [0.0]
        for item in {one.item for one in (*a, *b)}:
            first, second = (_as_boxes([one for one in side if one.item == item]) for side in (a, b))
            pairing = pair(first, second, self.task.decoder)
            if any(map(np.any, pairing.unpaired())):
                return float("inf")
            distances += [
                corner_distance(first.boxes[one], second.boxes[other], self.task.voxelization.point_cloud_range)
                for one, other in pairing.pairs
            ]
        largest = float(np.max(distances))
        return largest if np.isfinite(largest) else float("inf")


def _as_boxes(detections: Sequence[Detection3D]) -> Boxes3D:
    """Detections as arrays, without their velocities."""
    return Boxes3D(
        np.array([one.box for one in detections], np.float32).reshape(-1, 7),
        np.array([one.score for one in detections], np.float32),
        np.array([one.label for one in detections], np.int64),
    )
