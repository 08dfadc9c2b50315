"""Core ML: ML Programs for Apple's devices."""

from compiler.backends.coreml.backend import CoreML

__all__ = ["CoreML"]
