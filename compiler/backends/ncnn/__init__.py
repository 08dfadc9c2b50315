"""ncnn: what converts a traced Program with pnnx, and what runs the result."""

from compiler.backends.ncnn.backend import Ncnn

__all__ = ["Ncnn"]
