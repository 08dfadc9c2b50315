"""How our own operators of torch become nodes of ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnxscript.optimizer import fold_constants
from torch import Tensor
from torch.export import ExportedProgram

import rewriters.functions.lstm_to_nodes  # noqa: F401  (defines the operator)

LARGEST_WEIGHTS = 2**30
"""In bytes, of one LSTM: far above any, and within what one file holds."""


def with_onnx_nodes(program: ExportedProgram) -> ExportedProgram:
    """Put nodes of ONNX in the place of the operators that stand for them."""
    present = {
        operator: make for operator, make in NODES.items() if any(n.target is operator for n in program.graph.nodes)
    }
    if not present:
        return program
    decomposed: ExportedProgram = program.run_decompositions(present)
    return decomposed


def with_constant_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Compute the weights of a model's nodes `LSTM` from the network's: ONNX Runtime rounds others differently."""
    if any(node.op_type == "LSTM" for node in model.graph.node):
        fold_constants(model, input_size_limit=LARGEST_WEIGHTS, output_size_limit=LARGEST_WEIGHTS)
    return model


def _lstm_node(
    sequence: Tensor, weights: Tensor, recurrent: Tensor, biases: Tensor | None, hidden: Tensor, cells: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    directions, batch, size = hidden.shape
    steps = sequence.shape[0]
    output, *final = torch.onnx.ops.symbolic_multi_out(
        "LSTM",
        (sequence, weights, recurrent, biases, None, hidden, cells),
        attrs={"direction": "bidirectional" if directions == 2 else "forward", "hidden_size": size},
        dtypes=(sequence.dtype,) * 3,
        shapes=((steps, directions, batch, size), hidden.shape, hidden.shape),
    )
    return output.transpose(1, 2).flatten(2), final[0], final[1]


NODES: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.deploy_compiler.lstm_node.default: _lstm_node,
}
"""By operator of torch: what puts ONNX's nodes in its place."""
