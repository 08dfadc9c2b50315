"""An LSTM becomes ONNX's node `LSTM`, one for each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from rewriters import Contract, FunctionCall, Skip, function_rewriter

if TYPE_CHECKING:
    from collections.abc import Sequence

States: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""The outputs `[t, n, directions * hidden]` and the last hidden and cell states, `[directions, n, hidden]` a layer."""
ONNX_GATES = (0, 3, 1, 2)
"""Of torch's gates, those of ONNX: input, output, forget, cell."""
TORCH_GATES = (0, 2, 3, 1)
"""Of ONNX's gates, those of torch: input, forget, cell, output."""


@function_rewriter(torch.lstm, contract=Contract.close(1e-5))
def lstm_to_nodes(
    call: FunctionCall, given: Tensor, states: Sequence[Tensor], parameters: Sequence[Tensor], *options: Any
) -> States | Skip:
    """Torch's exporter unrolls an LSTM at the length of its example, and ONNX has a node that takes any."""
    if call.target.ir != "onnx":
        return call.skip(f"{call.target.ir} has an LSTM of its own")
    if call.target.exporter != "dynamo":
        return call.skip(f"the exporter {call.target.exporter} writes that node itself")
    if isinstance(states, Tensor):
        return call.skip("the sequences are packed")
    has_biases, num_layers, dropout, train, bidirectional, batch_first = options
    if train and dropout:
        return call.skip("in training it drops at random")
    directions = 2 if bidirectional else 1
    kinds = 4 if has_biases else 2
    if len(parameters) != num_layers * directions * kinds:
        # Unrolled, it would serve one length and look as if it served all.
        raise NotImplementedError("an LSTM with projections cannot be exported: ONNX's node has none")
    sequence = given.transpose(0, 1) if batch_first else given
    last = []
    for layer in range(num_layers):
        own = slice(layer * directions, (layer + 1) * directions)
        weights = [_with_gates(torch.stack([*parameters[kind::kinds][own]]), ONNX_GATES) for kind in range(kinds)]
        biases = torch.cat(weights[2:], dim=1) if has_biases else None
        sequence, *final = lstm_node(sequence, weights[0], weights[1], biases, states[0][own], states[1][own])
        last.append(final)
    output = sequence.transpose(0, 1) if batch_first else sequence
    hidden, cells = (torch.cat(kind) for kind in zip(*last, strict=True))
    return output, hidden, cells


@torch.library.custom_op("deploy_compiler::lstm_node", mutates_args=())
def lstm_node(
    sequence: Tensor, weights: Tensor, recurrent: Tensor, biases: Tensor | None, hidden: Tensor, cells: Tensor
) -> States:
    """One layer, with its parameters as ONNX's node takes them; `compiler.export.operators` makes it that node."""
    size = hidden.shape[2]
    kinds = [weights, recurrent, *(() if biases is None else torch.split(biases, 4 * size, dim=1))]
    in_order = [_with_gates(kind, TORCH_GATES) for kind in kinds]
    parameters = [kind[direction] for direction in range(len(hidden)) for kind in in_order]
    output, *last = torch.lstm(
        sequence, (hidden, cells), parameters, biases is not None, 1, 0.0, False, len(hidden) == 2, False
    )
    return output, last[0], last[1]


@lstm_node.register_fake
def _(
    sequence: Tensor, weights: Tensor, recurrent: Tensor, biases: Tensor | None, hidden: Tensor, cells: Tensor
) -> States:
    steps, batch, _ = sequence.shape
    directions, _, size = hidden.shape
    return sequence.new_empty((steps, batch, directions * size)), torch.empty_like(hidden), torch.empty_like(cells)


def _with_gates(stacked: Tensor, order: tuple[int, ...]) -> Tensor:
    """The weights of all directions, `[directions, 4 * hidden, ...]`, with their gates in another order."""
    gates = stacked.reshape(len(stacked), 4, -1)
    return gates.index_select(1, torch.tensor(order)).reshape(stacked.shape)
