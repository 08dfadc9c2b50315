"""The precision that a model computes in as it is given: an exported file may be in 16 or in 8 bits already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compiler.graphs.walk import all_nodes, is_standard, parts_of

if TYPE_CHECKING:
    import onnx

QUANTIZED_OPERATORS = frozenset(
    {
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
        *("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"),
    }
)
"""Of ONNX's own."""
QUANTIZED_PREFIXES = ("QLinear", "QGemm", "QAttention", "QEmbed", "DynamicQuantize", "MatMulInteger", "MatMulNBits")
"""Of those that ONNX Runtime adds to them, in the domain `com.microsoft`."""
RUNTIME_DOMAIN = "com.microsoft"
CASTS = frozenset({"Cast", "CastLike"})


@dataclass(frozen=True)
class OwnPrecision:
    """What a model is in as it is given.

    Attributes:
        name: `fp32`, `fp16`, `bf16` or `int8`, which is whatever holds its numbers as integers with scales.
        changed: How many of its nodes say so.
        nodes: How many there are, those of the graphs inside of nodes and of functions included.
    """

    name: str
    changed: int
    nodes: int


IN_FP32 = OwnPrecision("fp32", 0, 0)


def own_precision(model: onnx.ModelProto, types: Callable[[], Mapping[str, int]]) -> OwnPrecision:
    """What a model computes in: what is stored in 16 bits alone, and cast before anything is done with it, is in fp32.

    Args:
        model: Its weights may lie elsewhere.
        types: Gives those of its tensors, by name; asked where some may be in 16 bits.
    """
    import onnx

    nodes = [node for node in all_nodes(model) if node.op_type != "Constant"]
    quantized = sum(map(_is_quantized, nodes))
    if quantized:
        return OwnPrecision("int8", quantized, len(nodes))
    halves = {"fp16": onnx.TensorProto.FLOAT16, "bf16": onnx.TensorProto.BFLOAT16}
    if not any(_may_hold(kind, model) for kind in halves.values()):
        return IN_FP32
    kinds = types()
    for name, kind in halves.items():
        typed = {tensor for tensor, found in kinds.items() if found == kind}
        computing = sum(
            node.op_type not in CASTS and not typed.isdisjoint((*node.input, *node.output)) for node in nodes
        )
        if computing:
            return OwnPrecision(name, computing, len(nodes))
    return IN_FP32


def _is_quantized(node: onnx.NodeProto) -> bool:
    if is_standard(node.domain):
        return node.op_type in QUANTIZED_OPERATORS
    return node.domain == RUNTIME_DOMAIN and (
        node.op_type in QUANTIZED_OPERATORS or node.op_type.startswith(QUANTIZED_PREFIXES)
    )


def _may_hold(kind: int, model: onnx.ModelProto) -> bool:
    """Whether a type is named anywhere in a model. A number among attributes may be one, whatever it is called: what a
    function casts to, say, stands in the node that calls it."""
    import onnx

    for part in parts_of(model):
        if isinstance(part, onnx.ValueInfoProto):
            if not part.type.HasField("tensor_type") or part.type.tensor_type.elem_type == kind:
                return True
        elif isinstance(part, onnx.TensorProto):
            if part.data_type == kind:
                return True
        elif isinstance(part, onnx.NodeProto | onnx.FunctionProto):
            given = part.attribute if isinstance(part, onnx.NodeProto) else part.attribute_proto
            if any(kind in (attribute.i, attribute.t.data_type) for attribute in given):
                return True
    return False
