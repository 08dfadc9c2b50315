"""What our own operators of torch become in ONNX: functions in terms of standard operators."""

# Named and typed as ONNX has it.
# ruff: noqa: ANN001, N802
# mypy: ignore-errors
# onnxscript's annotations describe the tensors that a compiled function is run on, and not the names in its source.

from __future__ import annotations

import onnx
from onnxscript import FLOAT, INT32, INT64, script
from onnxscript import opset18 as op
from onnxscript.values import Opset

OWN_DOMAIN = "deploy_compiler"
TENSORRT_DOMAIN = "TRT"
"""Where TensorRT's plugins are."""

own = Opset(OWN_DOMAIN, 1)
tensorrt = Opset(TENSORRT_DOMAIN, 1)


@script(own, default_opset=op)
def SelectDetections(boxes, scores, iou_threshold: float, max_per_image: int) -> tuple[FLOAT, INT64, INT64]:
    """`deploy_compiler::nms`: NonMaxSuppression, and what it selects as one row of detections for each image."""
    first, last, none = op.Constant(value_ints=[0]), op.Constant(value_ints=[-1]), op.Constant(value_int=-1)
    nothing = op.Constant(value_float=0.0)
    limit = op.Reshape(op.Constant(value_int=max_per_image), last)
    class_scores = op.Transpose(scores, perm=[0, 2, 1])
    selected = op.NonMaxSuppression(
        boxes, class_scores, limit, op.Constant(value_float=iou_threshold), op.Constant(value_floats=[0.0])
    )
    # One column for each image: the scores of its own selections, and zeros below them for as many as there can be.
    images = op.Range(op.Constant(value_int=0), op.Squeeze(op.Shape(boxes, end=1)), op.Constant(value_int=1))
    is_own = op.Equal(op.Gather(selected, first, axis=1), op.Unsqueeze(images, first))
    selected_scores = op.Where(is_own, op.Unsqueeze(op.GatherND(class_scores, selected), last), nothing)
    room = op.Concat(op.Constant(value_ints=[0, 0]), limit, first, axis=0)
    best_by_image, order_by_image = op.TopK(op.Pad(selected_scores, room), limit, axis=0)
    best, order = op.Transpose(best_by_image), op.Transpose(order_by_image)
    is_found = op.Greater(best, nothing)
    rows = op.Gather(op.Pad(selected, room), order)
    labels = op.Where(is_found, op.Gather(rows, op.Constant(value_int=1), axis=2), none)
    index = op.Gather(rows, op.Constant(value_ints=[2]), axis=2)
    indices = op.Where(is_found, op.Squeeze(index, last), none)
    kept = op.Where(op.Unsqueeze(is_found, last), op.GatherND(boxes, index, batch_dims=1), nothing)
    dets = op.Concat(kept, op.Unsqueeze(best, last), axis=2)
    return dets, labels, indices


@script(tensorrt, default_opset=op)
def EfficientNMS_TRT(
    boxes,
    scores,
    score_threshold: float,
    iou_threshold: float,
    max_output_boxes: int,
    background_class: int,
    score_activation: int,
    class_agnostic: int,
    box_coding: int,
) -> tuple[INT32, FLOAT, FLOAT, INT32]:
    """TensorRT's plugin in standard operators, for runtimes that do not have it.

    The last four attributes are not read: `fuse_nms` gives them the values for which this is what the plugin does.
    """
    above = op.Where(op.Greater(scores, op.Constant(value_float=score_threshold)), scores, op.Constant(value_float=0.0))
    dets, labels, indices = SelectDetections(boxes, above, iou_threshold, max_output_boxes)
    is_found = op.Cast(op.GreaterOrEqual(indices, op.Constant(value_int=0)), to=6)
    count = op.ReduceSum(is_found, op.Constant(value_ints=[1]))
    kept, best = op.Split(dets, op.Constant(value_ints=[4, 1]), axis=2)
    classes = op.Cast(labels, to=6)
    return count, kept, op.Squeeze(best, op.Constant(value_ints=[2])), classes


DEFINITIONS = (SelectDetections, EfficientNMS_TRT)
"""What a model defines that has the plugin's node in it."""
DOMAINS = (OWN_DOMAIN, TENSORRT_DOMAIN)


def with_definitions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Define `EfficientNMS_TRT` in a model that uses it and does not, so that every runtime can run it."""
    defined = {(function.domain, function.name) for function in model.functions}
    if any(node.domain == TENSORRT_DOMAIN for node in model.graph.node):
        functions = [own.to_function_proto() for own in DEFINITIONS]
        model.functions.extend(own for own in functions if (own.domain, own.name) not in defined)
        missing = set(DOMAINS) - {entry.domain for entry in model.opset_import}
        model.opset_import.extend(onnx.helper.make_opsetid(domain, 1) for domain in sorted(missing))
    return model
