"""The numbers that a model holds: initializers to one exporter, nodes `Constant` to another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from compiler.graphs.walk import parts_of

if TYPE_CHECKING:
    import onnx


def weights_of(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield the tensors that a model holds, of the graphs inside of nodes and of functions too; their numbers may lie
    in other files."""
    import onnx

    for part in parts_of(model):
        if isinstance(part, onnx.TensorProto):
            yield part
        elif isinstance(part, onnx.NodeProto) and part.op_type == "Constant":
            yield from (attribute.t for attribute in part.attribute if attribute.HasField("t"))
