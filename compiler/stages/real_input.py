"""What a proof is made on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from compiler.artifact import Engine, Program
from compiler.config.sizes import InputSize, SizeRange
from compiler.errors import Caution
from compiler.proof import AnyProof, Run
from compiler.runtime import batch_runner
from compiler.tasks import AnySample, Prepared
from compiler.tasks.images import write_image


@dataclass(frozen=True)
class RealInput:
    """What a proof is made on.

    Attributes:
        proof: Prepares it, and compares what comes out.
        sample: What the task looks at.
        inputs: The batches and sizes that are proven, the smallest first.
        usual: The one that an engine is best at.
        sizes: What an engine takes.
        largest_batch: How many items an engine is given at once.
    """

    proof: AnyProof
    sample: AnySample
    inputs: tuple[InputSize, ...]
    usual: InputSize
    sizes: SizeRange
    largest_batch: int

    def prepared(self, size: InputSize) -> Prepared:
        """A batch of one size, as the task prepares it."""
        prepared: Prepared = self.proof.samples(self.sample, size.batch, size.size)
        return prepared

    def all_prepared(self) -> dict[str, Prepared]:
        """Every batch that is proven, by its size."""
        return {str(size): self.prepared(size) for size in self.inputs}

    def draw(self, takes: Engine | Program, run: Run, path: Path) -> None:
        """Write a picture of what a run of something finds that takes the inputs of an engine, or of a Program."""
        task = self.proof.task
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Caution)  # a picture says nothing, and whoever predicts is told
            prepared = task.preprocess(self.sample, self.sizes)
        outputs = task.infer(batch_runner(task, run, takes, self.largest_batch), prepared.tensors)
        write_image(path, task.draw(self.sample, task.decode(outputs, prepared)))
