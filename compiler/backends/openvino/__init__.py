"""OpenVINO: Intel's processors first, and any x86-64 or arm64 processor."""

from compiler.backends.openvino.backend import OpenVINO

__all__ = ["OpenVINO"]
