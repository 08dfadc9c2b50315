"""Write 8-bit arithmetic into a graph, as pairs of QuantizeLinear and DequantizeLinear.

Pairs stand on the inputs of quantised layers and nowhere else; layers that read one tensor share its pair, and what
stays in float reads the tensor as it was. ONNX Runtime's own quantizer is not used: it redirects every reader of a
tensor, so that a layer which is left out still reads 8 bits, and it quantises both sides of a skip connection.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compiler.errors import CompileError
from compiler.graphs import attribute_of, default_opset, name_of, without_unused
from compiler.precision.excluded import Excluded
from compiler.precision.int8.affine import (
    Parameters,
    activation_parameters,
    least_weight_scale,
    quantized_bias,
    quantized_weight,
    weight_parameters,
)
from compiler.precision.int8.layers import Layer, choose_layers
from compiler.precision.int8.schemes import QuantizationScheme
from compiler.precision.int8.table import CalibrationTable, Range

if TYPE_CHECKING:
    import onnx

SMALLEST_OPSET = 13
"""Where scales for each channel begin."""


@dataclass(frozen=True)
class Quantized:
    """A quantised model.

    Attributes:
        model: Takes and gives what the original takes and gives, float32 included.
        layers: The names of the quantised nodes, in the order of the graph.
        excluded: What could be quantised and stays in float.
    """

    model: onnx.ModelProto
    layers: tuple[str, ...]
    excluded: tuple[Excluded, ...]


def quantize(
    model: onnx.ModelProto, table: CalibrationTable, scheme: QuantizationScheme, exclude: Sequence[str] = ()
) -> Quantized:
    """A model with its layers quantised.

    Args:
        model: In float32, of opset 13 or later; not changed.
        table: What `calibrate` found for this very model.
        scheme: What the target takes.
        exclude: Node names, operator types, or patterns of either, that stay in float.

    Raises:
        UsageError: A pattern in `exclude` matches nothing.
        CompileError: The table is another model's, a tensor has no range, the opset is too old, the model is quantised
            already, or nothing is left that could be quantised.
    """
    check_quantizable(model)
    table.check(model)
    choice = choose_layers(model, table, scheme, exclude)
    if not choice.layers:
        raise CompileError(
            "nothing can be quantised",
            why=_reasons(choice.excluded) or f"the model holds no {', '.join(sorted(scheme.weighted))}",
            fix="keep less in fp32, or compile in another precision",
        )
    layers = tuple(layer.name for layer in choice.layers)
    return Quantized(with_pairs(model, choice.layers, scheme), layers, choice.excluded)


def check_quantizable(model: onnx.ModelProto) -> None:
    """Make sure that a model is in float, and that its operators can be quantised channel by channel.

    Raises:
        CompileError: It is quantised already, or its opset is too old.
    """
    opset = default_opset(model)
    if opset < SMALLEST_OPSET:
        raise CompileError(
            "the model cannot be quantised",
            why=f"its opset is {opset}, and scales for each channel begin with {SMALLEST_OPSET}",
            fix=f"export with opset {SMALLEST_OPSET} or later",
        )
    quantized = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    if quantized:
        raise CompileError(
            "the model cannot be quantised",
            where=f"{quantized[0].op_type} {name_of(quantized[0])}",
            why="it is quantised already",
            fix="start from the model in float32",
        )


def with_pairs(model: onnx.ModelProto, layers: Iterable[Layer], scheme: QuantizationScheme) -> onnx.ModelProto:
    """A copy of a model with pairs on the inputs of some of its layers."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    writer = _Writer(copy.graph, scheme)
    chosen = {layer.node.output[0]: layer for layer in layers}
    nodes: list[onnx.NodeProto] = []
    for node in copy.graph.node:
        layer = chosen.get(node.output[0])
        if layer is not None:
            nodes += writer.quantize(node, layer)
        nodes.append(node)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return without_unused(copy)


class _Writer:
    """Adds what quantised nodes need to a graph.

    Args:
        graph: Changed in place.
        scheme: What the target takes.
    """

    def __init__(self, graph: onnx.GraphProto, scheme: QuantizationScheme) -> None:
        self.graph, self.scheme = graph, scheme
        self.weights = {initializer.name: initializer for initializer in graph.initializer}
        self.pairs: dict[str, Parameters] = {}
        self.written: dict[tuple[str, bytes, str], str] = {}

    def quantize(self, node: onnx.NodeProto, layer: Layer) -> Iterator[onnx.NodeProto]:
        """Redirect a node's inputs; yield the nodes that have to stand before it."""
        for position, values in layer.activations.items():
            yield from self._activation(node, position, values)
        if layer.weight is not None:
            yield from self._weight(node, layer)

    def _activation(self, node: onnx.NodeProto, position: int, values: Range) -> Iterator[onnx.NodeProto]:
        import onnx

        tensor = node.input[position]
        name = f"{tensor}_dequantized"
        if tensor not in self.pairs:
            self.pairs[tensor] = activation_parameters(values, self.scheme)
            parameters = self._stored(tensor, self.pairs[tensor])
            quantized = f"{tensor}_quantized"
            yield onnx.helper.make_node("QuantizeLinear", [tensor, *parameters], [quantized], f"{tensor}_quantize")
            yield onnx.helper.make_node("DequantizeLinear", [quantized, *parameters], [name], f"{tensor}_dequantize")
        node.input[position] = name

    def _weight(self, node: onnx.NodeProto, layer: Layer) -> Iterator[onnx.NodeProto]:
        assert layer.weight is not None
        name = node.input[layer.weight]
        weight = _array(self.weights[name])
        axis = _channel_axis(node, layer.weight, weight.ndim) if self.scheme.per_channel else None
        activation = self.pairs[layer.node.input[next(iter(layer.activations))]].scale
        bias = self._bias(node) if self.scheme.quantized_bias else None
        least = 0.0 if bias is None else least_weight_scale(bias, activation)
        parameters = weight_parameters(weight, self.scheme, axis, least if axis is not None else np.max(least))
        values = quantized_weight(weight, self.scheme, parameters, axis)
        node.input[layer.weight] = yield from self._constant(name, values, parameters, axis)
        if bias is not None:
            product = np.broadcast_to(activation * parameters.scale, bias.shape).astype(np.float32)
            in_int32 = Parameters(product, np.zeros(bias.shape, np.int32))
            node.input[2] = yield from self._constant(node.input[2], quantized_bias(bias, product), in_int32, 0)

    def _bias(self, node: onnx.NodeProto) -> NDArray[Any] | None:
        """The bias that a kernel adds to its sum of products as it is, [n]."""
        if node.op_type == "MatMul" or len(node.input) < 3 or node.input[2] not in self.weights:
            return None
        bias = _array(self.weights[node.input[2]])
        is_scaled = attribute_of(node, "alpha", 1.0) != 1.0 or attribute_of(node, "beta", 1.0) != 1.0
        return None if bias.ndim != 1 or is_scaled else bias

    def _constant(
        self, name: str, values: NDArray[Any], parameters: Parameters, axis: int | None
    ) -> Generator[onnx.NodeProto, None, str]:
        """Store an initializer in integers, and return the name of what dequantises it; nodes that agree share it."""
        import onnx

        key = (name, parameters.scale.tobytes(), f"{axis}")
        if key not in self.written:
            stem = name if not any(known == name for known, *_ in self.written) else f"{name}_{len(self.written)}"
            self.written[key] = f"{stem}_dequantized"
            self._store(f"{stem}_quantized", values)
            inputs = [f"{stem}_quantized", *self._stored(stem, parameters)]
            node = onnx.helper.make_node("DequantizeLinear", inputs, [self.written[key]], f"{stem}_dequantize")
            if axis is not None:
                node.attribute.append(onnx.helper.make_attribute("axis", axis))
            yield node
        return self.written[key]

    def _stored(self, stem: str, parameters: Parameters) -> tuple[str, str]:
        names = (f"{stem}_scale", f"{stem}_zero_point")
        self._store(names[0], parameters.scale)
        self._store(names[1], parameters.zero_point)
        return names

    def _store(self, name: str, values: NDArray[Any]) -> None:
        import onnx

        self.graph.initializer.append(onnx.numpy_helper.from_array(values, name))


def _channel_axis(node: onnx.NodeProto, position: int, rank: int) -> int | None:
    """The axis of a weight that counts output channels; None where that takes more than one."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1 if attribute_of(node, "group", 1) == 1 else None
    if rank != 2 or position != 1:
        return None
    return 0 if attribute_of(node, "transB", 0) else 1


def _array(tensor: onnx.TensorProto) -> NDArray[Any]:
    import onnx

    array: NDArray[Any] = onnx.numpy_helper.to_array(tensor)
    return array


def _reasons(excluded: Sequence[Excluded]) -> str:
    return "; ".join(dict.fromkeys(entry.why for entry in excluded))
