"""Graphs that tests of rewriters write down."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray


def written_graph(given: str, outputs: str, body: str, values: Mapping[str, NDArray[np.generic]]) -> onnx.ModelProto:
    """A model of these nodes, each named after its first output.

    Args:
        given: The graph's input, with its type.
        outputs: Its outputs, with theirs.
        body: The nodes, as onnx's parser reads them.
        values: By name: those that a node reads become weights.
    """
    parsed = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 18]> g ({given}) => ({outputs}) {{{body}}}')
    read = {name for node in parsed.graph.node for name in node.input}
    parsed.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in values.items() if name in read
    )
    for node in parsed.graph.node:
        node.name = node.output[0]
    return onnx.shape_inference.infer_shapes(parsed)


def images(names: str) -> str:
    """The types of outputs that are images of any size."""
    return ", ".join(f"float[n, {name}c, {name}h, {name}w] {name}" for name in names.split())
