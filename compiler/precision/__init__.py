"""Precision: a Program in, the same Program in another precision out.

TensorRT 11, TensorRT-RTX and ONNX Runtime take the precision of a graph as it is written: it is in the graph, and
nowhere else. `half` writes a Program in fp16 or bf16; what cannot bear it stays in fp32. `int8` quantises it.
"""
