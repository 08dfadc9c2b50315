"""Rewriters of the ONNX graph."""
