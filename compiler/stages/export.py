"""The rewritten network as one Program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from compiler.export import Axis, Comparable, ExportOptions
from compiler.proof import AnyProof
from compiler.sources import Samples
from compiler.stages.load import LoadedNetwork
from compiler.stages.rewriters import Rewriters
from compiler.stages.stage import Stage


@dataclass(frozen=True)
class Export(Stage):
    """The rewritten network as one Program, checked on other inputs than it was traced with.

    Attributes:
        network: What is exported.
        example: What it is traced with.
        others: Other inputs that the Program takes: other values, and other sizes where sizes vary.
        kind: What is written: the `IR` of a kind of Program.
        exporter: `dynamo` or `torchscript`.
        opset: The ONNX opset; nothing to a traced Program.
        axes: The dimensions of each input that vary.
        rewriters: Those that act on the network.
        comparable: Puts outputs into the form in which they are compared: how they are checked, not what is made.
        ties: See `ExportOptions`.
    """

    NAME: ClassVar[str] = "export"
    TOOLS: ClassVar[tuple[str, ...]] = ("torch", "numpy", "onnx", "onnx-ir", "onnxscript")

    network: LoadedNetwork
    example: Samples
    others: tuple[Samples, ...]
    kind: str
    exporter: str
    opset: int
    axes: Mapping[str, tuple[Axis, ...]]
    rewriters: Rewriters
    comparable: Comparable = field(compare=False)
    ties: AnyProof | None = field(default=None, compare=False)

    @property
    def observations(self) -> Rewriters:
        """What the rewriters read of the target."""
        return self.rewriters

    def run(self, folder: Path) -> str:
        """Write the Program."""
        options = ExportOptions(self.exporter, self.opset, dict(self.axes), self.network.rewriting.outputs, self.ties)
        others = (samples.tensors for samples in self.others)
        network = self.network.open()
        return network.export(self.kind, self.example.tensors, others, options, self.comparable, folder)
