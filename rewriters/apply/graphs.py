"""Applying a graph rewriter to an ONNX model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import onnx
import onnx_graphsurgeon as gs

from rewriters.calls import Call, Skip
from rewriters.failures import blaming, refusal
from rewriters.ledger import NEVER_MET, Entry, fired_entry, skipped_entry

if TYPE_CHECKING:
    from rewriters.definition import GraphRewriter
    from rewriters.target import Target

GRAPH = "the ONNX graph"
LARGEST_SHAPE = 1024
"""In numbers: a tensor above this cannot be a shape, an axis or a scale that shape inference reads."""


def apply_graph_rewriter(
    model: onnx.ModelProto, rewriter: GraphRewriter, target: Target
) -> tuple[onnx.ModelProto, Entry]:
    """Apply a graph rewriter; the model given stays as it is, and is what comes back where the rewriter skipped.

    Raises:
        RewriterCodeError: The rewriter failed, made an invalid model, or changed the model's inputs or outputs.
    """
    graph = gs.import_onnx(model)
    with blaming(rewriter, GRAPH):
        result = rewriter.body(Call(target, ""), graph)
    if isinstance(result, Skip):
        return model, skipped_entry(rewriter, result.reason)
    places = _checked_places(result, rewriter)
    if not places:
        return model, skipped_entry(rewriter, NEVER_MET["graph"])
    with blaming(rewriter, GRAPH):
        changed = _exported(graph, model)
    return _checked(changed, model, rewriter), fired_entry(rewriter, places)


def _checked_places(result: object, rewriter: GraphRewriter) -> list[str]:
    if result is None:
        return []
    if not isinstance(result, list) or not all(isinstance(place, str) for place in result):
        raise refusal(
            rewriter, GRAPH, f"it returned {result!r:.200}, neither a list of node names nor call.skip(reason)"
        )
    return result


def _exported(graph: gs.Graph, model: onnx.ModelProto) -> onnx.ModelProto:
    graph.cleanup().toposort()
    changed: onnx.ModelProto = gs.export_onnx(graph)
    # graphsurgeon carries the graph over, but not what a model says about itself.
    about = onnx.ModelProto(**{field.name: value for field, value in model.ListFields() if field.name != "graph"})
    known = {opset.domain for opset in model.opset_import}
    about.opset_import.extend(opset for opset in changed.opset_import if opset.domain not in known)
    defined = {(function.domain, function.name) for function in model.functions}
    about.functions.extend(own for own in changed.functions if (own.domain, own.name) not in defined)
    for field in changed.DESCRIPTOR.fields:
        if field.name != "graph":
            changed.ClearField(field.name)
    changed.MergeFrom(about)
    changed.graph.metadata_props.extend(model.graph.metadata_props)
    return changed


def _checked(changed: onnx.ModelProto, model: onnx.ModelProto, rewriter: GraphRewriter) -> onnx.ModelProto:
    for port in ("input", "output"):
        before, after = list(getattr(model.graph, port)), list(getattr(changed.graph, port))
        if [_signature(value) for value in before] != [_signature(value) for value in after]:
            was, now = (", ".join(map(_signature, values)) for values in (before, after))
            raise refusal(rewriter, GRAPH, f"it changed the {port}s of the graph from {was} to {now}")
    light = _without_weights(changed)
    try:
        onnx.checker.check_model(light)
        inferred = onnx.shape_inference.infer_shapes(light, strict_mode=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise refusal(rewriter, GRAPH, f"it made an invalid model: {error}") from error
    del changed.graph.value_info[:]
    changed.graph.value_info.extend(inferred.graph.value_info)
    return changed


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large weights as inputs: checking and shape inference need no more of them."""
    light = onnx.ModelProto(**{field.name: value for field, value in model.ListFields() if field.name != "graph"})
    for field, value in model.graph.ListFields():
        if field.name == "initializer":
            continue
        if isinstance(value, str):
            setattr(light.graph, field.name, value)
        else:
            getattr(light.graph, field.name).extend(value)
    for weight in model.graph.initializer:
        if math.prod(weight.dims) > LARGEST_SHAPE:
            light.graph.input.append(onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
        else:
            light.graph.initializer.append(weight)
    return light


def _signature(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    dimensions = [dimension.dim_param or dimension.dim_value for dimension in tensor.shape.dim]
    return f"{value.name} {onnx.TensorProto.DataType.Name(tensor.elem_type)}{dimensions}"
