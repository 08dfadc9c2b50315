"""ONNX graphs: read, written, walked and wired, where they select, and the runtime that says what they compute."""

from compiler.graphs.cut import run_until_selection
from compiler.graphs.onnx_files import OnnxModelFile, read_onnx_file, take_over
from compiler.graphs.opsets import ir_version_for, later_operators, newest_runnable_opset, with_opset
from compiler.graphs.passes import with_lifted_constants, without_unused
from compiler.graphs.program import ONNX_FILE, describe, portable, save_model
from compiler.graphs.runtime import (
    AS_WRITTEN,
    BESIDE_OTHERS,
    LOOKED_AT,
    OnnxRuntimeSession,
    RuntimeOptions,
    sums_saturate,
    with_outputs,
)
from compiler.graphs.selection import after_selection, before_selection, with_open_selection
from compiler.graphs.trial import Trial
from compiler.graphs.unsigned_weights import with_unsigned_weights
from compiler.graphs.walk import all_nodes, attribute_of, bodies, default_opset, is_standard, name_of, schema_domain
from compiler.graphs.wiring import Wiring

__all__ = [
    "AS_WRITTEN",
    "BESIDE_OTHERS",
    "LOOKED_AT",
    "ONNX_FILE",
    "OnnxModelFile",
    "OnnxRuntimeSession",
    "RuntimeOptions",
    "Trial",
    "Wiring",
    "after_selection",
    "all_nodes",
    "attribute_of",
    "before_selection",
    "bodies",
    "default_opset",
    "describe",
    "ir_version_for",
    "is_standard",
    "later_operators",
    "name_of",
    "newest_runnable_opset",
    "portable",
    "read_onnx_file",
    "run_until_selection",
    "save_model",
    "schema_domain",
    "sums_saturate",
    "take_over",
    "with_lifted_constants",
    "with_open_selection",
    "with_opset",
    "with_outputs",
    "with_unsigned_weights",
    "without_unused",
]
