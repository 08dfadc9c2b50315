"""Which layers of a model are quantised under a scheme, and which stay in float and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compiler.errors import CompileError
from compiler.graphs import Wiring, attribute_of, is_standard, name_of
from compiler.precision.excluded import Excluded, asked_for
from compiler.precision.int8.schemes import QuantizationScheme
from compiler.precision.int8.table import CalibrationTable, Range

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Layer:
    """A node that is quantised.

    Attributes:
        node: In the model.
        activations: The positions of its inputs that are quantised as activations, and the ranges they take.
        weight: The position of its weight, where it has one.
    """

    node: onnx.NodeProto
    activations: Mapping[int, Range]
    weight: int | None

    @property
    def name(self) -> str:
        """The node's."""
        return name_of(self.node)


@dataclass(frozen=True)
class LayerChoice:
    """Which nodes are quantised.

    Attributes:
        layers: In the order of the graph.
        excluded: What stays in float, in the order of the graph.
    """

    layers: tuple[Layer, ...]
    excluded: tuple[Excluded, ...]


def choose_layers(
    model: onnx.ModelProto, table: CalibrationTable, scheme: QuantizationScheme, exclude: Sequence[str] = ()
) -> LayerChoice:
    """Decide what is quantised.

    Weighted layers always are. What joins or moves values is quantised only where its result goes on to a quantised
    layer: so what follows the last weighted layer, such as the decoding of boxes, stays in float, where 8 bits of an
    image's width would be pixels. Neither the first nor the last weighted layer is left out by rule: that moved the
    cosine similarity of RTMPose's, DBNet's and LiteHRNet's outputs by less than 0.004, up as often as down.

    Args:
        model: Not changed.
        table: Its ranges.
        scheme: What the target takes.
        exclude: Node names, operator types, or patterns of either.

    Raises:
        UsageError: A pattern matches nothing.
        CompileError: A weighted layer reads a tensor without a range.
    """
    nodes = model.graph.node
    asked = {index: f"asked for by '{pattern}'" for index, pattern in asked_for(nodes, exclude).items()}
    choosing = _Choosing(Wiring.of(model.graph), table, scheme, frozenset(_of_other_types(model.graph)))
    for index in reversed(range(len(nodes))):
        if is_standard(nodes[index].domain):
            choosing.consider(nodes[index], asked.get(index, ""))
    chosen = [choosing.layer(node) for node in nodes if node.output[0] in choosing.quantized]
    excluded = [choosing.excluded[node.output[0]] for node in nodes if node.output[0] in choosing.excluded]
    return LayerChoice(tuple(chosen), tuple(excluded))


class _Choosing:
    """Goes through the nodes from the last to the first, since where a result goes decides.

    Nodes are known by their first output, which is unique where names need not be.
    """

    def __init__(
        self, wires: Wiring, table: CalibrationTable, scheme: QuantizationScheme, of_other_types: frozenset[str]
    ) -> None:
        self.wires, self.table, self.scheme, self.of_other_types = wires, table, scheme, of_other_types
        self.quantized: set[str] = set()
        self.fused: set[str] = set()
        self.excluded: dict[str, Excluded] = {}

    def consider(self, node: onnx.NodeProto, asked: str) -> None:
        """Quantise a node, or leave it out."""
        if node.op_type in self.scheme.fused and self._goes_on(node):
            self.fused.add(node.output[0])
        elif node.op_type == "Add" and self.scheme.residual_adds and self._goes_on(node) and self._residual(node):
            self._decide(node, asked)
        elif self._gains(node):
            self._decide(node, asked or self._obstacle(node))

    def _gains(self, node: onnx.NodeProto) -> bool:
        """Tell whether a node is of those that the scheme quantises, where it stands."""
        operator, scheme = node.op_type, self.scheme
        if operator in scheme.carriers:
            return self._goes_on(node, everywhere=True)
        if operator in scheme.functions:
            return self._goes_on(node) and self._follows_convolution(node)
        return operator in scheme.weighted or (operator in scheme.joins and self._goes_on(node))

    def layer(self, node: onnx.NodeProto) -> Layer:
        """A quantised node as a layer."""
        ranges = {position: self._range(node.input[position]) for position in self._activations(node)}
        return Layer(node, ranges, self._weight(node))

    def _decide(self, node: onnx.NodeProto, why: str) -> None:
        if why:
            self.excluded[node.output[0]] = Excluded(name_of(node), node.op_type, why)
        else:
            self.quantized.add(node.output[0])

    def _goes_on(self, node: onnx.NodeProto, *, everywhere: bool = False) -> bool:
        """Tell whether a quantised layer reads what a node gives; or whether everything that reads it is one."""
        names = [reader.output[0] for reader in self._readers(node)]
        readers = [name in self.quantized or name in self.fused for name in names]
        if everywhere:
            return bool(readers) and all(readers) and self.wires.read_elsewhere.isdisjoint(node.output)
        return any(readers)

    def _readers(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        return [self.wires.nodes[index] for output in node.output for index, _ in self.wires.consumers.get(output, ())]

    def _obstacle(self, node: onnx.NodeProto) -> str:
        """Why a node cannot be quantised; empty where it can."""
        operands = [node.input[position] for position in self._operands(node)]
        activations = [tensor for tensor in operands if tensor not in self.wires.initializers]
        is_weighted = node.op_type in self.scheme.weighted
        unbounded = [tensor for tensor in activations if tensor in self.table.unbounded]
        unknown = [tensor for tensor in activations if tensor not in self.table.ranges and tensor not in unbounded]
        if is_weighted and not self.of_other_types.isdisjoint(operands):
            return "it does not compute in fp32"
        if unknown and is_weighted:
            raise _without_range(node, unknown[0])
        obstacles = {
            "it reads no activation": not activations,
            "it reads shapes or indices": bool(unknown),
            "it reads nothing but zeros": any(self._is_zero(tensor) for tensor in activations),
            f"{', '.join(unbounded)} reaches infinity": bool(unbounded),
            "an input is constant": not is_weighted and len(activations) < len(operands),
            "its weight is computed": node.op_type in ("Conv", "ConvTranspose") and len(activations) == len(operands),
            "it leaves the range of its input": node.op_type == "Resize" and attribute_of(node, "mode", "") == "cubic",
        }
        return next((why for why, holds in obstacles.items() if holds), "")

    def _is_zero(self, tensor: str) -> bool:
        values = self.table.ranges.get(tensor)
        return values is not None and values.low == values.high == 0.0

    def _operands(self, node: onnx.NodeProto) -> range:
        """The positions of what is computed with: neither biases, slopes, shapes nor indices."""
        if node.op_type == "ReduceMean" or node.op_type in self.scheme.carriers | self.scheme.functions:
            return range(1)
        return range(min(2, len(node.input))) if node.op_type in self.scheme.weighted else range(len(node.input))

    def _activations(self, node: onnx.NodeProto) -> list[int]:
        if node.op_type == "Add" and self.scheme.residual_adds:
            return self._residual(node)
        return [position for position in self._operands(node) if node.input[position] not in self.wires.initializers]

    def _weight(self, node: onnx.NodeProto) -> int | None:
        if node.op_type not in self.scheme.weighted:
            return None
        constant = (position for position in self._operands(node) if node.input[position] in self.wires.initializers)
        return next(constant, None)

    def _residual(self, node: onnx.NodeProto) -> list[int]:
        """Which input of an addition is a skip connection: the one that no weighted layer gives, or the second.

        Empty where neither input comes straight from a weighted layer, which is what the addition is fused into.
        """
        if any(tensor not in self.table.ranges for tensor in node.input):
            return []
        makers = [self.wires.producer(tensor) for tensor in node.input]
        straight = [maker is not None and maker.op_type in self.scheme.weighted for maker in makers]
        if not any(straight):
            return []
        return [1] if all(straight) else [straight.index(False)]

    def _follows_convolution(self, node: onnx.NodeProto) -> bool:
        """Tell whether a convolution gives what a function is computed of: what it gives has to be in 8 bits for it to
        be in integers. Products of matrices have kernels that give floats."""
        maker = self.wires.producer(node.input[0])
        return maker is not None and maker.op_type == "Conv"

    def _range(self, tensor: str) -> Range:
        """A tensor's range: what only moves values keeps that of what it reads, so that no value is rescaled."""
        maker = self.wires.producer(tensor)
        if maker is not None and maker.op_type in self.scheme.carriers and maker.output[0] in self.quantized:
            return self._range(maker.input[0])
        return self.table.ranges[tensor]


def _of_other_types(graph: onnx.GraphProto) -> Iterator[str]:
    """Yield the tensors that a graph says not to be in fp32."""
    import onnx

    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.tensor_type.elem_type not in (onnx.TensorProto.UNDEFINED, onnx.TensorProto.FLOAT):
            yield value.name
    yield from (tensor.name for tensor in graph.initializer if tensor.data_type != onnx.TensorProto.FLOAT)


def _without_range(node: onnx.NodeProto, tensor: str) -> CompileError:
    return CompileError(
        "a layer reads a tensor without a range",
        where=f"{node.op_type} {name_of(node)}",
        why=f"the calibration table does not hold {tensor}, which may have been empty for every item",
        fix="calibrate with more items, or keep the layer in fp32",
    )
