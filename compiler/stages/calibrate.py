"""What int8 is calibrated on, and the range of every tensor there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from compiler.artifact import InputFile, Tensors
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.config.sizes import InputSize
from compiler.datasets import Item
from compiler.datasets.calibration import batches
from compiler.proof import AnyProof
from compiler.stages.programs import ProgramArtifact
from compiler.stages.stage import Stage
from compiler.tasks import AnySample

TABLE_FILE = "calibration.json"


@dataclass(frozen=True)
class CalibrationData:
    """Real inputs that int8 takes its ranges from.

    Attributes:
        items: The content of each file, and where its objects are.
        proof: Makes items of one size out of them.
        usual: The batch and size.
        sample: What is varied where there are no files; None where there are.
        files: Where the items lie.
        limits: What one of them may cost.
    """

    items: tuple[tuple[str, tuple[tuple[float, ...], ...] | None], ...]
    proof: AnyProof
    usual: InputSize
    sample: AnySample | None
    files: tuple[Item, ...] = field(compare=False)
    limits: Limits = field(default=DEFAULT_LIMITS, compare=False)

    def batches(self) -> Iterator[Tensors]:
        """Yield the network's inputs.

        Raises:
            CompileError: A file cannot be read, or is not what it was.
        """
        if not self.files:
            yield from batches((), self.proof, self.usual, self.sample, self.limits)
        for (digest, _), item in zip(self.items, self.files, strict=True):
            with InputFile(digest, item.path).unchanged():
                yield from batches([item], self.proof, self.usual, None, self.limits)


@dataclass(frozen=True)
class Calibrate(Stage):
    """The range of every tensor of a Program.

    Attributes:
        program: After the graph rewriters.
        method: `min_max`, `percentile` or `entropy`.
        data: What it is run on.
    """

    NAME: ClassVar[str] = "calibrate"

    program: ProgramArtifact
    method: str
    data: CalibrationData

    def run(self, folder: Path) -> str:
        """Write the table of ranges."""
        import onnx

        from compiler.precision.int8 import calibrate

        table = calibrate(onnx.load(self.program.path), self.data.batches(), self.method)
        table.save(folder / TABLE_FILE)
        count = len(self.data.files) or 1
        files = "1 file" if count == 1 else f"{count} files"
        return f"{len(table.ranges)} ranges by {self.method} on {table.items} items of {files}"
