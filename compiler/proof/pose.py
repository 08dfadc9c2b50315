"""How pose estimation is proven: key points, compared in pixels of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compiler.artifact import Tensors
from compiler.proof.detection import DetectorProof
from compiler.proof.task_proof import TaskProof
from compiler.tasks import Sample
from compiler.tasks.images import Image
from compiler.tasks.pose.bottomup import BottomupPose, PersonPose
from compiler.tasks.pose.topdown import Pose, PreparedPoses, TopdownPose

if TYPE_CHECKING:
    from compiler.config.sizes import Size


@dataclass(frozen=True)
class TopdownPoseProof(TaskProof[Image, PreparedPoses, Pose]):
    """Poses in crops: one for each box, in their order."""

    unit: ClassVar[str] = "px"

    task: TopdownPose

    def samples(self, sample: Sample[Image], count: int, size: Size) -> PreparedPoses:
        """`count` crops around the boxes in turn: first as they are, then shifted and scaled a little.

        A batch of equal crops would not show an engine that mixes up its items. Every crop has the input's one size.
        """
        first = self.task.preprocess(sample).boxes
        chosen = first[np.arange(count) % len(first)].astype(np.float64)
        sides = np.tile(chosen[:, 2:] - chosen[:, :2], 2)
        jitter = np.random.default_rng(0).uniform(-0.1, 0.1, chosen.shape)
        jitter[: len(first)] = 0
        return self.task.preprocess(Sample(sample.source, chosen + sides * jitter))

    def difference(self, a: Sequence[Pose], b: Sequence[Pose]) -> float:
        """The largest distance between a key point in `a` and the same in `b`, in pixels of the image."""
        if len(a) != len(b):
            return float("inf")
        distances = [np.linalg.norm(one.keypoints - other.keypoints, axis=1) for one, other in zip(a, b, strict=True)]
        largest = float(np.max(distances)) if distances else 0.0
        return largest if np.isfinite(largest) else float("inf")


@dataclass(frozen=True)
class BottomupPoseProof(DetectorProof[PersonPose]):
    """People that are found with their key points, and paired by their boxes."""

    unit: ClassVar[str] = "px"

    task: BottomupPose

    def comparable(self, outputs: Tensors, like: Tensors) -> Tensors:
        """Detections in the order of the reference, their boxes without what lies far outside of the input.

        Sizes are exponentials of what the network gives: one box that is huge would be the measure of all others.
        """
        compared = super().comparable(outputs, like)
        return {**compared, "boxes": np.clip(compared["boxes"], 0, 2 * max(self.task.input_size))}

    def difference(self, a: Sequence[PersonPose], b: Sequence[PersonPose]) -> float:
        """The largest distance between a key point in `a` and the same in `b`, in pixels of the image.

        Infinity where either list has a person that the other lacks.
        """
        couples, are_complete = self.matched(a, b)
        distances = [np.linalg.norm(one.keypoints - other.keypoints, axis=1).max() for one, other in couples]
        largest = float(np.max(distances, initial=0.0))
        return largest if are_complete and np.isfinite(largest) else float("inf")
