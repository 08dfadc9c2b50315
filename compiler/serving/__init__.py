"""Bundles in the layouts that inference servers read."""

from compiler.serving.repository import export_triton

__all__ = ["export_triton"]
