"""What several graph rewriters do with the tensors of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx_graphsurgeon as gs

if TYPE_CHECKING:
    import numpy as np


def is_output(tensor: gs.Tensor, graph: gs.Graph) -> bool:
    """Tell whether a tensor is one of the graph's outputs, which keep their names."""
    return any(tensor is output for output in graph.outputs)


def use_instead(tensor: gs.Tensor, replacement: gs.Tensor) -> None:
    """Let all nodes that read a tensor, those of subgraphs too, read another one."""
    for consumer in list(tensor.outputs):
        for index, source in enumerate(consumer.inputs):
            if source is tensor:
                consumer.inputs[index] = replacement


def constant_input(node: gs.Node, index: int) -> np.ndarray | None:
    """The values of an input, of a node `Constant` too; None where it varies, or is not given."""
    tensor = node.inputs[index] if index < len(node.inputs) else None
    makers = [] if tensor is None else tensor.inputs
    if len(makers) == 1 and makers[0].op == "Constant":
        tensor = makers[0].attrs.get("value")
    return tensor.values if isinstance(tensor, gs.Constant) else None


def name_of(node: gs.Node) -> str:
    """The name by which the ledger tells a node: its own, or its first output's."""
    name: str = node.name or node.outputs[0].name
    return name
