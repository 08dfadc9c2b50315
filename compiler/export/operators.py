"""How our own operators of torch are exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnxscript.optimizer import fold_constants
from torch import Tensor
from torch.export import ExportedProgram

import compiler.networks.layers.nms  # noqa: F401  (defines the operators)
import rewriters.functions.lstm_to_nodes  # noqa: F401  (defines another)
from rewriters.graph.fuse_nms import NO_SCORE
from rewriters.onnx_functions import TENSORRT_DOMAIN, SelectDetections

LARGEST_WEIGHTS = 2**30
"""In bytes, of one LSTM: far above any, and within what one file holds."""
TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {torch.ops.deploy_compiler.nms.default: SelectDetections}
"""By operator of torch, for the exporter."""


def with_onnx_nodes(program: ExportedProgram) -> ExportedProgram:
    """Put nodes of ONNX, `EfficientNMS_TRT` and `LSTM`, in the place of the operators that stand for them."""
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


NODES: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.deploy_compiler.efficient_nms.default: _efficient_nms_node,
    torch.ops.deploy_compiler.lstm_node.default: _lstm_node,
}
"""By operator of torch: what puts ONNX's nodes in its place."""
