"""Objects in point clouds, compared by the corners of their boxes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compiler.artifact import Tensors
from compiler.proof.comparisons import USUAL_MARGIN
from compiler.proof.pairing import are_tied
from compiler.proof.task_proof import TaskProof
from compiler.proof.voxel_detection.pairing import corner_bounds, corner_distance, pair
from compiler.proof.voxel_detection.variations import exactly, variation
from compiler.tasks import Sample
from compiler.tasks.points import Points
from compiler.tasks.voxel_detection.boxes3d import Boxes3D
from compiler.tasks.voxel_detection.task import Detection3D, PreparedVoxels, VoxelDetection, prepared_clouds

if TYPE_CHECKING:
    from compiler.config.sizes import Size

BEYOND = 1e3
"""A side so many times longer than what was looked at, and rounding moves the middle of its box by more than objects
are apart."""


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

    def decoded_difference(self, reference: Tensors, found: Tensors, prepared: PreparedVoxels) -> float:
        """See `TaskProof`. Where boxes cannot be paired, those in all places that either side looks at are compared."""
        if self._can_be_paired(reference, prepared):
            return super().decoded_difference(reference, found, prepared)
        self.decode(found, prepared)  # refuses what does not fit
        sides = itertools.product(range(prepared.clouds), (reference, found))
        largest = float(np.max([self._difference_at(reference, found, item, like) for item, like in sides]))
        return largest if np.isfinite(largest) else float("inf")

    def _can_be_paired(self, outputs: Tensors, prepared: PreparedVoxels) -> bool:
        """Whether scores rank the boxes that are looked at, and not rounding; and whether all have a middle."""
        decoder, scores = self.task.decoder, []
        low, high = np.array(self.task.voxelization.point_cloud_range).reshape(2, 3)
        for item in range(prepared.clouds):
            boxes = decoder.at(outputs, item, decoder.places(outputs, item))
            boxes = boxes[boxes.scores > decoder.threshold]
            if not (boxes.boxes[:, 3:6] <= BEYOND * (high - low)).all():
                return False
            scores += [boxes.scores[boxes.labels == label] for label in np.unique(boxes.labels)]
        return not are_tied(scores)

    def _difference_at(self, reference: Tensors, found: Tensors, item: int, like: Tensors) -> float:
        """How far corners of boxes can be apart, in metres, in all places that are looked at in `like`.

        Infinity where a box scores something else altogether. Which of the boxes are kept is for the decoder to say,
        and that is the same for both.
        """
        decoder = self.task.decoder
        places = decoder.places(like, item)
        chosen = decoder.at(like, item, places).scores > decoder.threshold
        first, second = (decoder.at(side, item, places)[chosen] for side in (reference, found))
        if not (np.abs(first.scores - second.scores) <= USUAL_MARGIN).all():
            return float("inf")
        apart = corner_bounds(first.boxes, second.boxes, self.task.voxelization.point_cloud_range)
        return float(np.max(apart, initial=0.0))

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
