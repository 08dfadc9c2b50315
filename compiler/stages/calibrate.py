"""The range of every tensor on real input, which int8 is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from compiler.config.sizes import InputSize
from compiler.datasets.calibration import Item, batches
from compiler.proof import AnyProof
from compiler.stages.programs import ProgramArtifact
from compiler.stages.stage import Stage
from compiler.tasks import AnySample

TABLE_FILE = "calibration.json"


@dataclass(frozen=True)
class Calibrate(Stage):
    """The range of every tensor of a Program.

    Attributes:
        program: After the graph rewriters.
        method: `min_max`, `percentile` or `entropy`.
        items: The content of each file, and where its objects are.
        proof: Prepares them.
        usual: The batch and size that they are prepared in.
        sample: What is varied where there are no files; None where there are.
        files: Where the items lie.
    """

    NAME: ClassVar[str] = "calibrate"

    program: ProgramArtifact
    method: str
    items: tuple[tuple[str, list[list[float]] | None], ...]
    proof: AnyProof
    usual: InputSize
    sample: AnySample | None
    files: tuple[Item, ...] = field(compare=False)

    def run(self, folder: Path) -> str:
        """Write the table of ranges."""
        import onnx

        from compiler.precision.int8 import calibrate

        model = onnx.load(self.program.path)
        table = calibrate(model, batches(self.files, self.proof, self.usual, self.sample), self.method)
        table.save(folder / TABLE_FILE)
        count = len(self.files) or 1
        files = "1 file" if count == 1 else f"{count} files"
        return f"{len(table.ranges)} ranges by {self.method} on {table.items} items of {files}"
