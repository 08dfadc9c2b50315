"""How pose estimation is proven: key points, compared in pixels of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.proof.detection import DetectorProof
from compiler.proof.pairing import USUAL_SHARE
from compiler.proof.task_proof import TaskProof
from compiler.tasks import Sample
from compiler.tasks.images import Image
from compiler.tasks.pose.bottomup import BottomupPose, PersonPose
from compiler.tasks.pose.topdown import Pose, PreparedPoses, TopdownPose
from compiler.tasks.whole_image import PreparedImages

if TYPE_CHECKING:
    from compiler.config.sizes import Size

CORRECT = 0.05
"""Of a person's longer side: a key point that is further off is another point to whoever looks at it."""
UNDECIDED_POINTS = 0.25
"""The share of the key points that rounding may decide about."""


@dataclass(frozen=True)
class TopdownPoseProof(TaskProof[Image, PreparedPoses, Pose]):
    """Poses in crops: one for each box, in their order."""

    unit: ClassVar[str] = "px"
    things: ClassVar[str] = "key points"

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

    def found(self, results: Sequence[Pose]) -> int:
        """How many key points have a peak: a score above zero."""
        return sum(int((one.scores > 0).sum()) for one in results)

    def allowed(self, prepared: PreparedPoses) -> float:
        """A share of the smallest person: strict PCK, the percentage of correct key points."""
        sides = prepared.boxes[:, 2:] - prepared.boxes[:, :2]
        return CORRECT * float(sides.max(axis=1).min(initial=np.inf))

    def decoded_difference(self, reference: Tensors, found: Tensors, prepared: PreparedPoses) -> float:
        """The largest distance of a key point, but for those that only rounding decided about; see `undecided`."""
        poses = self.decode(reference, prepared), self.decode(found, prepared)
        is_decided = ~undecided(reference, found, self.task.outputs)
        kept = [
            [replace(pose, keypoints=pose.keypoints[mask]) for pose, mask in zip(side, is_decided, strict=True)]
            for side in poses
        ]
        return self.difference(*kept)

    def difference(self, a: Sequence[Pose], b: Sequence[Pose]) -> float:
        """The largest distance between a key point in `a` and the same in `b`, in pixels of the image."""
        if len(a) != len(b):
            return float("inf")
        distances = [np.linalg.norm(one.keypoints - other.keypoints, axis=1) for one, other in zip(a, b, strict=True)]
        largest = float(np.max([one.max(initial=0.0) for one in distances], initial=0.0))
        return largest if np.isfinite(largest) else float("inf")


def undecided(reference: Tensors, found: Tensors, names: Sequence[str]) -> NDArray[np.bool_]:
    """Which key points, `[n, k]`, have rivals that score so nearly the same that only rounding chose between them.

    How near is near shows in the outputs: twice what a precision does to most numbers. Where many points would be
    undecided, it is not rounding that decides, and none are.
    """
    tied: NDArray[np.bool_] = np.zeros(reference[names[0]].shape[:2], bool)
    for name in names:
        expected, actual = (side[name].astype(np.float64).reshape(*tied.shape, -1) for side in (reference, found))
        margin = 2 * float(np.quantile(np.abs(actual - expected), USUAL_SHARE)) if expected.size else 0.0
        peak = expected.max(axis=2)
        chosen = np.take_along_axis(expected, actual.argmax(axis=2)[..., None], axis=2)[..., 0]
        tied |= (chosen < peak) & (peak - chosen <= margin)
        # A peak that is not above zero is none.
        tied |= (peak > 0) != (actual.max(axis=2) > 0)
    return tied if tied.mean() <= UNDECIDED_POINTS else np.zeros_like(tied)


@dataclass(frozen=True)
class BottomupPoseProof(DetectorProof[PersonPose]):
    """People that are found with their key points, and paired by their boxes."""

    unit: ClassVar[str] = "px"
    things: ClassVar[str] = "people"

    task: BottomupPose

    @property
    def reach(self) -> int:
        """What images are laid into."""
        return max(self.task.input_size)

    def allowed(self, prepared: PreparedImages) -> float:
        """A share of the smallest image."""
        return CORRECT * min((max(size) for size in prepared.sizes), default=np.inf)

    def difference(
        self, a: Sequence[PersonPose], b: Sequence[PersonPose], full: Sequence[frozenset[int]] = ()
    ) -> float:
        """The largest distance between a key point in `a` and the same in `b`, in pixels of the image.

        Infinity where either list has a person that the other lacks.
        """
        couples, are_complete = self.matched(a, b, full)
        distances = [np.linalg.norm(one.keypoints - other.keypoints, axis=1).max() for one, other in couples]
        largest = float(np.max(distances, initial=0.0))
        return largest if are_complete and np.isfinite(largest) else float("inf")
