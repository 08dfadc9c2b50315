"""The nodes of an ONNX model as the facts ask about them: types, ranks, constants and bounds."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from compiler.graphs import bodies, default_opset, is_standard, name_of, with_lifted_constants

if TYPE_CHECKING:
    import onnx
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

KEEPS_VALUES = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
"""Operators whose result has the values of their first input."""
SHAPE_ARITHMETIC = KEEPS_VALUES | {
    *("Abs", "Add", "Clip", "Concat", "Div", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Max", "Min"),
    *("Mod", "Mul", "Neg", "Pow", "ReduceMax", "ReduceProd", "ReduceSum", "Sign", "Slice", "Split", "Sub", "Tile"),
    *("Transpose", "Where"),
}
"""Operators through which TensorRT follows what a shape is computed from."""
UNKNOWN = -math.inf
"""The bound of what the graph says nothing about."""
LARGEST_SHAPE = 1024
"""In numbers: a tensor above this cannot be a shape, an axis or a scale that shape inference reads."""


@dataclass(frozen=True)
class Scope:
    """What is known by name where a node stands; a subgraph knows what is around it.

    Attributes:
        types: Element type and rank of each tensor; None for an unknown rank.
        constants: Initializers.
        makers: The node that makes a tensor.
        fixed_inputs: The inputs of the whole graph that hold integers and have one shape.
    """

    types: Mapping[str, tuple[str, int | None]]
    constants: Mapping[str, TensorProto]
    makers: Mapping[str, NodeProto]
    fixed_inputs: frozenset[str]

    def entered(self, graph: GraphProto) -> Scope:
        """What is known within a graph that stands here."""
        makers = {name: node for node in graph.node for name in node.output}
        ports = (*graph.input, *graph.output, *graph.value_info)
        weights = {weight.name: weight for weight in graph.initializer}
        types = {port.name: _type(port) for port in ports}
        types |= {weight.name: (_type_name(weight.data_type), len(weight.dims)) for weight in graph.initializer}
        return replace(
            self,
            types={**self.types, **types},
            constants={**self.constants, **weights},
            makers={**self.makers, **makers},
        )


@dataclass(frozen=True)
class Place:
    """One node, and what is known about it.

    Attributes:
        node: The node.
        opset: Of the domain of its operator; 0 where that is not ONNX's own.
        scope: What is known where it stands.
    """

    node: NodeProto
    opset: int
    scope: Scope

    @property
    def operator(self) -> str:
        """Its type, as `domain::type` where the domain is not ONNX's own."""
        return self.node.op_type if is_standard(self.node.domain) else f"{self.node.domain}::{self.node.op_type}"

    @property
    def name(self) -> str:
        """Its name, or that of its first output."""
        return name_of(self.node)

    @cached_property
    def types(self) -> frozenset[str]:
        """The element types of its inputs and outputs, as far as they are known."""
        names = (*self.node.input, *self.node.output)
        return frozenset(self.scope.types[name][0] for name in names if name in self.scope.types)

    @property
    def rank(self) -> int | None:
        """Of its first input; None where that is unknown."""
        first = self.node.input[0] if self.node.input else ""
        return self.scope.types.get(first, ("", None))[1]

    def is_varying(self, index: int) -> bool:
        """Tell whether an input is given, and is not constant."""
        name = self._input(index)
        return bool(name) and name not in self.scope.constants

    def is_nonzero(self, index: int) -> bool:
        """Tell whether an input is constant, and not zero throughout."""
        from onnx import numpy_helper

        constant = self.scope.constants.get(self._input(index))
        return constant is not None and bool(numpy_helper.to_array(constant).any())

    def is_decided_by_input(self, index: int) -> bool:
        """Tell whether a node's input is computed from the values of an input of the graph, as shapes are.

        Only inputs of integers that have one shape count: of others, TensorRT reads the values while the engine runs.
        """
        seen: set[str] = set()
        left = [self._input(index)]
        while left:
            name = left.pop()
            if name in self.scope.fixed_inputs:
                return True
            maker = self.scope.makers.get(name)
            if name not in seen and maker is not None and maker.op_type in SHAPE_ARITHMETIC:
                left += maker.input
            seen.add(name)
        return False

    def has_output(self, index: int) -> bool:
        """Tell whether it gives an output."""
        return index < len(self.node.output) and bool(self.node.output[index])

    def bound(self, index: int) -> float:
        """The largest number that an input can hold, as far as the graph says; `UNKNOWN` where it does not."""
        return _bound(self._input(index), self.scope)

    def attribute(self, name: str) -> tuple[Any, ...]:
        """The values of an attribute, or of its default; none where it has neither."""
        import onnx

        given: AttributeProto | None = next((item for item in self.node.attribute if item.name == name), None)
        if given is None and self.opset:
            known = onnx.defs.get_schema(self.node.op_type, self.opset).attributes
            given = known[name].default_value if name in known else None
        value = onnx.helper.get_attribute_value(given) if given is not None and given.type else ()
        values = value if isinstance(value, list | tuple) else (value,)
        return tuple(item.decode() if isinstance(item, bytes) else item for item in values)

    def _input(self, index: int) -> str:
        return self.node.input[index] if index < len(self.node.input) else ""


def places(model: ModelProto, plugins: Collection[str]) -> Iterator[Place]:
    """Yield every node, those of the bodies of control flow too; local functions are replaced by what they consist of.

    Args:
        model: Any ONNX model; large weights are taken out of it.
        plugins: Operators, as `domain::type`, that stay as they are although the model defines them.
    """
    import onnx
    from onnx import inliner

    functions = [(function.domain, function.name) for function in model.functions]
    excluded = [(domain, name) for domain, name in functions if f"{domain}::{name}" in plugins]
    if len(excluded) < len(functions):
        model = inliner.inline_selected_functions(model, excluded, exclude=True)
    model = with_lifted_constants(model)
    weights = {weight.name: weight for weight in model.graph.initializer}
    _take_out_large(model.graph)
    model = onnx.shape_inference.infer_shapes(model)
    opset = default_opset(model)
    fixed = frozenset(port.name for port in model.graph.input if port.name not in weights and _is_of_fixed_size(port))
    yield from _in_graph(model.graph, opset, Scope({}, weights, {}, fixed))


def _take_out_large(graph: GraphProto) -> None:
    """Let large weights be inputs: shape inference needs no more of them, and copies all that it is given."""
    from onnx import helper

    weights = list(graph.initializer)
    del graph.initializer[:]
    for weight in weights:
        if math.prod(weight.dims) > LARGEST_SHAPE:
            graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
        else:
            graph.initializer.append(weight)


def _in_graph(graph: GraphProto, opset: int, around: Scope) -> Iterator[Place]:
    scope = around.entered(graph)
    for node in graph.node:
        yield Place(node, opset if is_standard(node.domain) else 0, scope)
        for body in bodies(node):
            yield from _in_graph(body, opset, scope)


def _bound(name: str, scope: Scope) -> float:
    from onnx import numpy_helper

    if name in scope.constants:
        return max(map(float, numpy_helper.to_array(scope.constants[name]).flat), default=UNKNOWN)
    maker = scope.makers.get(name)
    if maker is None:
        return UNKNOWN
    if maker.op_type in KEEPS_VALUES:
        return _bound(maker.input[0], scope)
    if maker.op_type == "Min":
        bounds = [_bound(each, scope) for each in maker.input]
        return min((bound for bound in bounds if bound > UNKNOWN), default=UNKNOWN)
    return UNKNOWN


def _type(port: onnx.ValueInfoProto) -> tuple[str, int | None]:
    tensor = port.type.tensor_type
    return _type_name(tensor.elem_type), len(tensor.shape.dim) if tensor.HasField("shape") else None


def _is_of_fixed_size(port: onnx.ValueInfoProto) -> bool:
    dimensions = port.type.tensor_type.shape.dim
    return _type(port)[0] in ("int32", "int64") and all(dimension.HasField("dim_value") for dimension in dimensions)


def _type_name(elem_type: int) -> str:
    import onnx

    name: str = onnx.TensorProto.DataType.Name(elem_type).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)
