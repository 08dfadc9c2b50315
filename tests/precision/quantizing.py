"""Small graphs to quantise, and what the tests ask of a graph afterwards."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnxruntime

from compiler.precision.int8.calibration import calibrate

WEIGHTS = {
    "w1": (4, 3, 3, 3), "b1": (4,), "w2": (4, 4, 3, 3), "b2": (4,), "w3": (5, 4, 1, 1), "up": (4, 4, 2, 2), "m": (4, 6),
}  # fmt: skip
"""The shapes of what `model` draws where a graph reads it."""


def model(body: str, outputs: str = "y", opset: int = 18, **weights) -> onnx.ModelProto:
    """Return a model that reads an image `x` of three channels; its nodes are named by their first outputs.

    Args:
        body: Nodes in ONNX's text format; they may read `WEIGHTS`.
        outputs: Names.
        opset: Of ONNX's own operators.
        weights: Other initializers, or other values for those of `WEIGHTS`.
    """
    signature = ", ".join(f"float[{name}0, {name}1, {name}2, {name}3] {name}" for name in outputs.split())
    text = (
        f'<ir_version: 8, opset_import: ["": {opset}]> g (float[batch, 3, height, width] x) => ({signature}) {{{body}}}'
    )
    parsed = onnx.parser.parse_model(text)
    generator = np.random.default_rng(0)
    values = {name: generator.normal(size=shape).astype(np.float32) for name, shape in WEIGHTS.items()} | weights
    read = {name for node in parsed.graph.node for name in node.input}
    initializers = [onnx.numpy_helper.from_array(np.asarray(values[name]), name) for name in values if name in read]
    parsed.graph.initializer.extend(initializers)
    for node in parsed.graph.node:
        node.name = node.output[0]
    return parsed


def images(count: int = 2, size: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(seed).normal(size=(count, 3, size, size)).astype(np.float32)}


def table_of(graph: onnx.ModelProto, method: str = "min_max"):
    return calibrate(graph, [images(seed=1), images(seed=2)], method)


def run(graph: onnx.ModelProto, tensors) -> dict[str, np.ndarray]:
    """Check a model strictly, and run every node as it is written, which is exact on any processor."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return run_fast(graph, tensors, options)


def run_fast(graph: onnx.ModelProto, tensors, options: onnxruntime.SessionOptions | None = None):
    """Run a model as anybody does who knows nothing of it: in 8 bits where it says so."""
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, tensors), strict=True))


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    norms = np.linalg.norm(first) * np.linalg.norm(second)
    return float(first.ravel() @ second.ravel() / norms) if norms else 0.0


def node(graph: onnx.ModelProto, name: str) -> onnx.NodeProto:
    (found,) = [node for node in graph.graph.node if node.name == name]
    return found


def value(graph: onnx.ModelProto, name: str) -> np.ndarray:
    (found,) = [entry for entry in graph.graph.initializer if entry.name == name]
    return onnx.numpy_helper.to_array(found)


def maker(graph: onnx.ModelProto, tensor: str) -> str:
    """Return the operator that makes a tensor; empty for a graph input or an initializer."""
    return next((node.op_type for node in graph.graph.node if tensor in node.output), "")


def sources(graph: onnx.ModelProto, name: str) -> list[str]:
    """Return the operators that make a node's inputs."""
    return [maker(graph, tensor) for tensor in node(graph, name).input]


def dequantizers(graph: onnx.ModelProto) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the scale and zero point of every DequantizeLinear, by what it gives."""
    return {
        node.output[0]: (value(graph, node.input[1]), value(graph, node.input[2]))
        for node in graph.graph.node
        if node.op_type == "DequantizeLinear"
    }
