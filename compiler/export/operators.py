"""How operators of torch are exported that its exporter freezes to the example."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx
import torch
from onnxscript.optimizer import fold_constants
from torch import Tensor
from torch.overrides import TorchFunctionMode

LARGEST_WEIGHTS = 2**30
"""In bytes, of one LSTM: far above any, and within what one file holds."""


def with_constant_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Compute the weights of a model's nodes `LSTM` from the network's: ONNX Runtime rounds others differently."""
    if any(node.op_type == "LSTM" for node in model.graph.node):
        fold_constants(model, input_size_limit=LARGEST_WEIGHTS, output_size_limit=LARGEST_WEIGHTS)
    return model


class LstmNodes(TorchFunctionMode):
    """Within a `with` block, LSTMs are traced as ONNX's node `LSTM`: torch knows a sequence's length only as a number.

    What comes out is ready after `with_constant_weights`.

    Raises:
        NotImplementedError: An LSTM has projections.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replace the calls of `torch.lstm`, and no other."""
        call = _lstm_nodes if func is torch.lstm else func
        return call(*args, **(kwargs or {}))


def _lstm_nodes(
    input: Tensor,
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what `torch.lstm` does: the last layer's outputs, and every layer's last hidden and cell state."""
    directions = 2 if bidirectional else 1
    kinds = 4 if has_biases else 2
    if len(parameters) != num_layers * directions * kinds:
        raise NotImplementedError("an LSTM with projections cannot be exported: ONNX's node has none")
    sequence = input.transpose(0, 1) if batch_first else input
    last = []
    for layer in range(num_layers):
        own = slice(layer * directions, (layer + 1) * directions)
        weights = [_onnx_gates(parameters[kind::kinds][own]) for kind in range(kinds)]
        bias = torch.cat(weights[2:], dim=1) if has_biases else None
        sequence, *final = _lstm_node(sequence, (*weights[:2], bias, None, *(state[own] for state in states)))
        last.append(final)
    output = sequence.transpose(0, 1) if batch_first else sequence
    hidden, cells = (torch.cat(kind) for kind in zip(*last, strict=True))
    return output, hidden, cells


def _onnx_gates(weights: Sequence[Tensor]) -> Tensor:
    """Stack the weights of all directions, and bring their gates to ONNX's order: input, output, forget, cell."""
    stacked = torch.stack(list(weights))
    gates = stacked.reshape(len(stacked), 4, -1)
    return gates.index_select(1, torch.tensor([0, 3, 1, 2])).reshape(stacked.shape)


def _lstm_node(sequence: Tensor, others: tuple[Tensor | None, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return one layer's outputs `[t, n, directions * hidden]`, and its last hidden and cell states."""
    hidden = others[-1]
    assert hidden is not None
    directions, batch, size = hidden.shape
    steps = sequence.shape[0]
    output, *final = torch.onnx.ops.symbolic_multi_out(
        "LSTM",
        (sequence, *others),
        attrs={"direction": "bidirectional" if directions == 2 else "forward", "hidden_size": size},
        dtypes=(sequence.dtype,) * 3,
        shapes=((steps, directions, batch, size), hidden.shape, hidden.shape),
    )
    return output.transpose(1, 2).flatten(2), final[0], final[1]
