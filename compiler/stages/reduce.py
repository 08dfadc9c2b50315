"""The Program in a lower precision: fp16, bf16 or int8, written into the graph."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compiler.artifact import Tensors, read_json, write_json
from compiler.graphs import AS_WRITTEN, OnnxRuntimeSession, RuntimeOptions, save_model
from compiler.precision.int8.schemes import QuantizationScheme
from compiler.proof import Tolerance, compare_arrays
from compiler.report import Reduced
from compiler.sources import Samples
from compiler.stages.calibrate import TABLE_FILE
from compiler.stages.programs import ProgramArtifact
from compiler.stages.stage import Artifact, Stage

if TYPE_CHECKING:
    import onnx

    from compiler.precision.int8 import CalibrationTable, Quantized

REDUCED_FILE = "reduced.onnx"
PRECISION_FILE = "precision.json"
RANKED = 512
"""Layers that `calibration.auto` looks at: each costs a run of the network."""


@dataclass(frozen=True)
class ReduceToHalf(Stage):
    """The Program in 16 bits, but for what does not bear them.

    Attributes:
        program: After the graph rewriters.
        precision: `fp16` or `bf16`.
        keep_fp32: What stays in fp32 whatever is measured.
        tolerance: The largest error, in standard deviations of an output; None for the format's own.
        usual: What it is measured on.
    """

    NAME: ClassVar[str] = "precision"

    program: ProgramArtifact
    precision: str
    keep_fp32: tuple[str, ...]
    tolerance: float | None
    usual: Samples

    def run(self, folder: Path) -> str:
        """Write the Program, and what stays in fp32 and why."""
        import onnx

        from compiler.precision.half import HalfOptions, to_half

        model = onnx.load(self.program.path)
        options = HalfOptions(self.precision, self.keep_fp32, self.tolerance)
        result = to_half(model, [self.usual.tensors], options)
        excluded = tuple(map(asdict, result.excluded))
        reduced = Reduced(self.precision, result.half, len(model.graph.node), excluded)
        return _leave(folder, result.model, reduced)


@dataclass(frozen=True)
class Quantize(Stage):
    """The Program in int8, but for what is left out.

    Attributes:
        program: After the graph rewriters.
        table: What `Calibrate` found.
        scheme: How the backend wants int8.
        keep_fp32: What stays in fp32.
        judge: What runs a Program in place of the engine, where the layers that lose most are left out too, as few as
            the tolerance needs; None where they are not.
        tolerance: That the Program has to keep on the usual input.
        usual: That input.
    """

    NAME: ClassVar[str] = "precision"

    program: ProgramArtifact
    table: Artifact
    scheme: QuantizationScheme
    keep_fp32: tuple[str, ...]
    judge: RuntimeOptions | None
    tolerance: Tolerance
    usual: Samples

    def run(self, folder: Path) -> str:
        """Write the Program, and what stays in fp32 and why."""
        import onnx

        from compiler.precision.int8 import CalibrationTable, quantize

        model = onnx.load(self.program.path)
        table = CalibrationTable.load(self.table.folder / TABLE_FILE)
        if self.judge:
            result = self._as_far_as_proven(model, table, self.judge)
        else:
            result = quantize(model, table, self.scheme, self.keep_fp32)
        excluded = tuple(map(asdict, result.excluded))
        return _leave(folder, result.model, Reduced("int8", len(result.layers), len(model.graph.node), excluded))

    def _as_far_as_proven(self, model: onnx.ModelProto, table: CalibrationTable, judge: RuntimeOptions) -> Quantized:
        """Leave out the layers that lose most, as few as the tolerance on the usual input needs.

        A detector is judged by what it selects from: among near-equals, the least rounding changes which are selected.
        The Program is judged as it is written and as the engine runs it, for the proof looks at both.
        """
        from compiler.graphs import before_selection
        from compiler.precision.int8 import auto_quantize, rank

        usual, judged = self.usual.tensors, before_selection(model)

        def run(candidate: onnx.ModelProto, options: RuntimeOptions) -> Tensors:
            found = OnnxRuntimeSession(candidate, judged, options).run(usual)
            return {name: array for name, array in found.items() if array.dtype == np.float32}

        def passes(candidate: onnx.ModelProto) -> bool:
            holds, ways = self.tolerance.holds, dict.fromkeys((judge, AS_WRITTEN))
            found = [run(candidate, options) for options in ways]
            return all(
                holds(compare_arrays(name, array, one[name])) for one in found for name, array in reference.items()
            )

        reference = run(model, AS_WRITTEN)
        ranked = partial(rank, model, table, self.scheme, [usual], judged, RANKED)
        return auto_quantize(model, table, self.scheme, ranked, passes, self.keep_fp32)


def read_reduced(folder: Path) -> Reduced:
    """What is in a lower precision, and what is not."""
    return Reduced.from_dict(read_json(folder / PRECISION_FILE))


def _leave(folder: Path, model: onnx.ModelProto, reduced: Reduced) -> str:
    save_model(model, folder / REDUCED_FILE).save()
    write_json(folder / PRECISION_FILE, {"version": 1, **reduced.to_dict()})
    excluded = f", {len(reduced.excluded)} kept in fp32" if reduced.excluded else ""
    return f"{reduced.changed} of {reduced.nodes} nodes in {reduced.precision}{excluded}"
