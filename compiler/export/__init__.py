"""Network -> Program: an exporter for each kind, and a run at other sizes before anyone relies on what came out."""

from compiler.export.frozen import run_network
from compiler.export.onnx_program import export_onnx
from compiler.export.options import Axis, Comparable, ExportOptions, as_they_are
from compiler.export.sessions import TracedSession, open_program
from compiler.export.traced_program import export_traced

__all__ = [
    "Axis",
    "Comparable",
    "ExportOptions",
    "TracedSession",
    "as_they_are",
    "export_onnx",
    "export_traced",
    "open_program",
    "run_network",
]
