"""fp16 and bf16 as a pass over the Program: mixed precision, written into the graph."""

from compiler.precision.half.convert import HalfOptions, to_half

__all__ = ["HalfOptions", "to_half"]
