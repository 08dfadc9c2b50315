"""The stages that lower a Program's precision: calibration, and fp16, bf16 or int8 written into the graph."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compiler.artifact import Program, Tensors, read_json, write_json
from compiler.config import CompileConfig
from compiler.datasets.calibration import batches
from compiler.errors import UsageError, nearest
from compiler.export import describe, save_model
from compiler.pipeline.job import Job
from compiler.proof import Tolerance, compare_arrays
from compiler.report import Reduced

if TYPE_CHECKING:
    import onnx

    from compiler.precision.int8 import CalibrationTable, QuantizationScheme, Quantized

REDUCED_FILE = "reduced.onnx"
PRECISION_FILE = "precision.json"
TABLE_FILE = "calibration.json"
TOLERANCES = {"fp16": 0.1, "bf16": 1.0, "int8": None}
"""The largest absolute error in standard deviations of an output, where the config says nothing; None for no limit."""
RANKED = 512
"""Layers that `calibration.auto` looks at: each costs a run of the network."""


def read_reduced(folder: Path) -> Reduced:
    """Read what the stage wrote."""
    return Reduced.from_dict(read_json(folder / PRECISION_FILE))


def proof_tolerance(config: CompileConfig) -> Tolerance:
    """Return what a Program in a config's precision, and its engine, are held to."""
    verify, precision = config.verify, config.precision
    if precision == "fp32":
        return Tolerance(verify.tolerance, verify.decoded_tolerance)
    relative = TOLERANCES[precision] if verify.reduced_tolerance is None else verify.reduced_tolerance
    return Tolerance(relative, verify.decoded_tolerance, verify.reduced_cosine)


def calibrate(job: Job, program: Path, folder: Path) -> str:
    """Write the range of every tensor on real input."""
    import onnx

    from compiler.precision.int8 import calibrate

    items, method = job.calibration, job.config.calibration.method
    table = calibrate(onnx.load(program), batches(items, job.config, job.task, job.source, job.boxes), method)
    table.save(folder / TABLE_FILE)
    return f"{len(table.ranges)} ranges by {method} on {table.items} items of {_counted(len(items) or 1, 'file')}"


def reduce_precision(job: Job, program: Path, table: Path | None, folder: Path) -> str:
    """Write the Program in the job's precision, and what stays in fp32 and why.

    Args:
        job: Says the precision.
        program: After the graph rewriters.
        table: The folder of the calibration, for int8.
        folder: Of the stage.
    """
    import onnx

    model = onnx.load(program)
    reduced, written = _quantized(job, model, table) if table else _halved(job, model)
    save_model(written, folder / REDUCED_FILE)
    write_json(folder / PRECISION_FILE, asdict(reduced))
    kept = f", {len(reduced.kept)} kept in fp32" if reduced.kept else ""
    return f"{reduced.changed} of {reduced.nodes} nodes in {reduced.precision}{kept}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def reduced_program(folder: Path) -> Program:
    """Return the Program that `reduce_precision` wrote."""
    return describe(folder / REDUCED_FILE)


def _halved(job: Job, model: onnx.ModelProto) -> tuple[Reduced, onnx.ModelProto]:
    from compiler.precision.half import HalfOptions, to_half

    config = job.config
    options = HalfOptions(config.precision, config.keep_fp32, config.verify.reduced_tolerance)
    result = to_half(model, [_usual(job)], options)
    kept = tuple(map(asdict, result.kept))
    return Reduced(config.precision, result.half, len(model.graph.node), kept), result.model


def _quantized(job: Job, model: onnx.ModelProto, table_folder: Path) -> tuple[Reduced, onnx.ModelProto]:
    from compiler.precision.int8 import SCHEMES, CalibrationTable, quantize

    config, name = job.config, job.backend.QUANTIZATION
    if name not in SCHEMES:
        raise UsageError(
            f"there is no quantization '{name}'",
            where=f"QUANTIZATION of {type(job.backend).__name__}",
            fix=nearest(name, SCHEMES),
        )
    table = CalibrationTable.load(table_folder / TABLE_FILE)
    if config.calibration.auto:
        result = _quantized_as_far_as_proven(job, model, table, SCHEMES[name])
    else:
        result = quantize(model, table, SCHEMES[name], config.keep_fp32)
    kept = tuple(map(asdict, result.kept))
    return Reduced(config.precision, len(result.layers), len(model.graph.node), kept), result.model


def _quantized_as_far_as_proven(
    job: Job, model: onnx.ModelProto, table: CalibrationTable, scheme: QuantizationScheme
) -> Quantized:
    """Leave out the layers that lose most, as few as the tolerance on the usual input needs.

    A detector is judged by what it selects from: among near-equals, the least rounding changes which are selected.
    """
    from compiler.precision.int8 import auto_quantize, rank
    from compiler.precision.selection import before_selection
    from compiler.precision.sessions import open_model

    usual, tolerance, judged = _usual(job), proof_tolerance(job.config), before_selection(model)

    def run(candidate: onnx.ModelProto) -> Tensors:
        found = open_model(candidate, judged, as_written=True)(usual)
        return {name: array for name, array in found.items() if array.dtype == np.float32}

    def passes(candidate: onnx.ModelProto) -> bool:
        found = run(candidate)
        return all(tolerance.holds(compare_arrays(name, array, found[name])) for name, array in reference.items())

    reference = run(model)
    ranked = partial(rank, model, table, scheme, [usual], judged, RANKED)
    return auto_quantize(model, table, scheme, ranked, passes, job.config.keep_fp32)


def _usual(job: Job) -> Tensors:
    usual = job.config.usual_input
    tensors: Tensors = job.task.samples(job.source, job.boxes, usual.batch, usual.size).tensors
    return tensors
