"""How our own operators of torch are exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import torch
from torch import Tensor
from torch.export import ExportedProgram

import compiler.networks.layers.nms  # noqa: F401  (defines the operators)
from compiler.export.onnx_functions import OWN_DOMAIN, TENSORRT_DOMAIN, EfficientNMS_TRT, SelectDetections

NO_SCORE = 1e-5
"""Below every score in use: TensorRT's kernel does not promise to leave out candidates that score zero."""
TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {torch.ops.deploy_compiler.nms.default: SelectDetections}
"""By operator of torch, for the exporter."""


def with_fused_nodes(program: ExportedProgram) -> ExportedProgram:
    """Put the node `EfficientNMS_TRT` in the place of `deploy_compiler::efficient_nms`."""
    operator = torch.ops.deploy_compiler.efficient_nms.default
    if not any(node.target is operator for node in program.graph.nodes):
        return program
    decomposed: ExportedProgram = program.run_decompositions({operator: _efficient_nms_node})
    return decomposed


def with_definitions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Add the definition of `EfficientNMS_TRT` to a model that uses it, so that every runtime can run it."""
    if any(node.domain == TENSORRT_DOMAIN for node in model.graph.node):
        model.functions.extend([SelectDetections.to_function_proto(), EfficientNMS_TRT.to_function_proto()])
        missing = {OWN_DOMAIN, TENSORRT_DOMAIN} - {entry.domain for entry in model.opset_import}
        model.opset_import.extend(onnx.helper.make_opsetid(domain, 1) for domain in sorted(missing))
    return model


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
