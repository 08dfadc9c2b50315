"""How our own operators of torch are exported, and those of torch that its exporter freezes to the example."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx
import torch
from onnxscript.optimizer import fold_constants
from torch import Tensor
from torch.export import ExportedProgram
from torch.overrides import TorchFunctionMode

import compiler.networks.layers.nms  # noqa: F401  (defines the operators)
from rewriters.graph.fuse_nms import NO_SCORE
from rewriters.onnx_functions import TENSORRT_DOMAIN, SelectDetections

LARGEST_WEIGHTS = 2**30
"""In bytes, of one LSTM: far above any, and within what one file holds."""
TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {torch.ops.deploy_compiler.nms.default: SelectDetections}
"""By operator of torch, for the exporter."""


def with_fused_nodes(program: ExportedProgram) -> ExportedProgram:
    """Put the node `EfficientNMS_TRT` in the place of `deploy_compiler::efficient_nms`."""
    operator = torch.ops.deploy_compiler.efficient_nms.default
    if not any(node.target is operator for node in program.graph.nodes):
        return program
    decomposed: ExportedProgram = program.run_decompositions({operator: _efficient_nms_node})
    return decomposed


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


def _efficient_nms_node(
    boxes: Tensor, scores: Tensor, iou_threshold: float, max_per_image: int
) -> tuple[Tensor, Tensor]:
    batch = boxes.shape[0]
    count, kept, best, classes = torch.onnx.ops.symbolic_multi_out(
        f"{TENSORRT_DOMAIN}::EfficientNMS_TRT",
        (boxes, scores),
        attrs={
            "score_threshold": NO_SCORE,
            "iou_threshold": iou_threshold,
            "max_output_boxes": max_per_image,
            "background_class": -1,
            "score_activation": 0,
            "class_agnostic": 0,
            "box_coding": 0,
        },
        dtypes=(torch.int32, torch.float32, torch.float32, torch.int32),
        shapes=((batch, 1), (batch, max_per_image, 4), (batch, max_per_image), (batch, max_per_image)),
        version=1,
    )
    # What the plugin writes behind the last detection is not specified.
    is_found = torch.arange(max_per_image) < count
    dets = torch.cat([kept, best[..., None]], dim=2).where(is_found[..., None], 0.0)
    return dets, classes.where(is_found, -1).to(torch.int64)
