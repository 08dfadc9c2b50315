"""The precision that a model computes in as it is given: an exported file may be in 16 or in 8 bits already."""

from __future__ import annotations

from collections.abc import Iterator
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


def own_precision(model: onnx.ModelProto) -> OwnPrecision:
    """What a model computes in: what is stored in 16 bits alone, and cast before anything is done with it, is in fp32.

    Args:
        model: Its weights may lie elsewhere.
    """
    import onnx

    nodes = [node for node in all_nodes(model) if node.op_type != "Constant"]
    quantized = sum(map(_is_quantized, nodes))
    if quantized:
        return OwnPrecision("int8", quantized, len(nodes))
    kinds = dict(_types(model))
    for name, kind in (("fp16", onnx.TensorProto.FLOAT16), ("bf16", onnx.TensorProto.BFLOAT16)):
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


def _types(model: onnx.ModelProto) -> Iterator[tuple[str, int]]:
    """Yield what is known of the types of tensors: those that are inferred, and those of weights and casts.

    The names of all graphs are taken together: one that means two things miscounts a node.
    """
    import onnx

    try:
        inferred: onnx.ModelProto = onnx.shape_inference.infer_shapes(model)
    except onnx.shape_inference.InferenceError:  # the checker names what is wrong
        inferred = model
    for part in parts_of(inferred):
        if isinstance(part, onnx.ValueInfoProto):
            yield part.name, part.type.tensor_type.elem_type
        elif isinstance(part, onnx.TensorProto):
            yield part.name, part.data_type
        elif isinstance(part, onnx.NodeProto):
            attributes = {attribute.name: attribute for attribute in part.attribute}
            if part.op_type == "Cast":
                yield part.output[0], attributes["to"].i
            elif part.op_type == "Constant" and "value" in attributes:
                yield part.output[0], attributes["value"].t.data_type
