"""The types of the tensors of a model, which onnx infers: native code, for which a stranger's file is tried first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from compiler.graphs.walk import parts_of

if TYPE_CHECKING:
    import onnx


def tensor_types(model: onnx.ModelProto) -> dict[str, int]:
    """What is known of the types of tensors, by name: those that are inferred, and those of weights and casts.

    The names of all graphs are taken together: one that means two things miscounts a node.
    """
    import onnx

    try:
        inferred: onnx.ModelProto = onnx.shape_inference.infer_shapes(model)
    except onnx.shape_inference.InferenceError:  # the checker names what is wrong
        inferred = model
    return dict(_types(inferred))


def _types(model: onnx.ModelProto) -> Iterator[tuple[str, int]]:
    import onnx

    for part in parts_of(model):
        if isinstance(part, onnx.ValueInfoProto):
            yield part.name, part.type.tensor_type.elem_type
        elif isinstance(part, onnx.TensorProto):
            yield part.name, part.data_type
        elif isinstance(part, onnx.NodeProto):
            attributes = {attribute.name: attribute for attribute in part.attribute}
            for output in part.output[:1]:  # without one, or without `to`, the checker refuses it
                if part.op_type == "Cast" and "to" in attributes:
                    yield output, attributes["to"].i
                elif part.op_type == "Constant" and "value" in attributes:
                    yield output, attributes["value"].t.data_type
