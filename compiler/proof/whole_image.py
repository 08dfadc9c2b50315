"""What the proofs of tasks that look at whole images have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from compiler.config.sizes import SizeRange
from compiler.proof.task_proof import TaskProof
from compiler.tasks import Sample
from compiler.tasks.images import Image
from compiler.tasks.task import ResultT
from compiler.tasks.whole_image import PreparedImages

if TYPE_CHECKING:
    from compiler.config.sizes import Size


@dataclass(frozen=True)
class WholeImageProof(TaskProof[Image, PreparedImages, ResultT]):
    """Samples of whole images."""

    def samples(self, sample: Sample[Image], count: int, size: Size) -> PreparedImages:
        """The image, and then parts of it, every other one mirrored; results are in pixels of each part.

        A batch of equal images would not show an engine that mixes up its items.
        """
        exactly, image = SizeRange.exactly(size), sample.source
        prepared = [self.task.preprocess(sample, exactly)]
        generator = np.random.default_rng(0)
        sides = np.array(image.shape[:2])
        for index in range(1, count):
            extent = np.maximum(np.rint(sides * generator.uniform(0.6, 0.9, 2)), 1).astype(int)
            top, left = generator.integers(sides - extent + 1)
            part = image[top : top + extent[0], left : left + extent[1]]
            part = np.ascontiguousarray(part[:, ::-1] if index % 2 else part)
            prepared.append(self.task.preprocess(Sample(part), exactly))
        tensors = {name: np.concatenate([one.tensors[name] for one in prepared]) for name in prepared[0].tensors}
        placements = tuple(one.placements[0] for one in prepared)
        return PreparedImages(tensors, placements, tuple(one.sizes[0] for one in prepared))
