"""Network -> Program: an exporter for each kind, and a run at other sizes before anyone relies on what came out."""

from compiler.export.frozen import run_network
from compiler.export.onnx_files import OnnxModelFile, read_onnx_file, take_over
from compiler.export.onnx_program import export_onnx
from compiler.export.options import Axis, Comparable, ExportOptions, as_they_are
from compiler.export.program import NEWEST_IR_VERSION, ONNX_FILE, describe, save_model
from compiler.export.sessions import TracedSession, open_program
from compiler.export.traced_program import export_traced

__all__ = [
    "NEWEST_IR_VERSION",
    "ONNX_FILE",
    "Axis",
    "Comparable",
    "ExportOptions",
    "OnnxModelFile",
    "TracedSession",
    "as_they_are",
    "describe",
    "export_onnx",
    "export_traced",
    "open_program",
    "read_onnx_file",
    "run_network",
    "save_model",
    "take_over",
]
