"""A graph as a whole, and which of its operators take a 16-bit format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compiler.graphs import (
    Wiring,
    after_selection,
    attribute_of,
    before_selection,
    bodies,
    name_of,
    schema_domain,
    with_lifted_constants,
    with_opset,
)
from compiler.precision.half.formats import Format

if TYPE_CHECKING:
    import onnx


SCATTERING = {"ScatterElements", "ScatterND"}
"""What ONNX Runtime has no kernel for in 16 bits where it adds up what meets in one place."""
SCALED = {"DequantizeLinear", "QLinearConv", "QLinearMatMul", "QuantizeLinear"}
"""Whose fp32 tensors are scales: rounded, they would move every number."""
DEFINED_IN_FP32 = {"MeanVarianceNormalization"}
"""Whose definition holds constants in fp32: shape inference, which reads it, refuses it in 16 bits."""


@dataclass(frozen=True)
class Slots:
    """Where a node takes and gives a 16-bit format: positions among its inputs and outputs."""

    inputs: frozenset[int]
    outputs: frozenset[int]


@dataclass(frozen=True)
class HalfWiring(Wiring):
    """The main graph of a model, and what of it can be in 16 bits.

    Attributes:
        model: With constants as initializers, a name for every node, and the types of all tensors.
        slots: Of each node.
        floats: The names of all tensors in fp32.
        weights: The initializers in fp32.
        following: The nodes that select, and all that follow one.
        watched: The fp32 tensors in which errors are measured: all that is computed before anything is selected.
    """

    model: onnx.ModelProto
    slots: tuple[Slots, ...]
    floats: frozenset[str]
    weights: Mapping[str, NDArray[np.float32]]
    following: frozenset[int]
    watched: tuple[str, ...]

    def can_be_half(self, node: int) -> bool:
        """Tell whether a node takes or gives a 16-bit format at all."""
        return bool(self.slots[node].inputs or self.slots[node].outputs)

    def reads_or_gives_floats(self, node: int) -> bool:
        """Tell whether a node has anything to do with fp32 tensors."""
        return any(name in self.floats for name in (*self.nodes[node].input, *self.nodes[node].output))


def wire(model: onnx.ModelProto, number_format: Format) -> HalfWiring:
    """A copy of a model, prepared, and the wiring of its main graph.

    Raises:
        CompileError: The model's operator set is too old for the format and cannot be converted.
    """
    import onnx

    model = with_lifted_constants(with_opset(model, number_format.opset, number_format.name))
    for node in model.graph.node:
        node.name = name_of(node)
    model = onnx.shape_inference.infer_shapes(model)
    floats = frozenset(name for name, kind in element_types(model.graph) if kind == onnx.TensorProto.FLOAT)
    opsets = {schema_domain(entry.domain): entry.version for entry in model.opset_import}
    inputs = {value.name for value in model.graph.input}
    return HalfWiring(
        **vars(Wiring.of(model.graph)),
        model=model,
        slots=tuple(_slots(node, opsets, floats, number_format) for node in model.graph.node),
        floats=floats,
        weights={t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name in floats},
        following=after_selection(model),
        watched=tuple(name for name in before_selection(model) if name in floats - inputs),
    )


def element_types(graph: onnx.GraphProto) -> Iterator[tuple[str, int]]:
    """The names of a graph's tensors, each with the type of its elements."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name, value.type.tensor_type.elem_type
    for tensor in graph.initializer:
        yield tensor.name, tensor.data_type


def _slots(node: onnx.NodeProto, opsets: Mapping[str, int], floats: frozenset[str], number_format: Format) -> Slots:
    """The places where ONNX's schema of an operator ties an fp32 tensor to a type that may be 16 bits wide.

    Casts have none: they stand on borders, and are written anew there.
    """
    schema = _schema(node.op_type, schema_domain(node.domain), opsets.get(schema_domain(node.domain), 1))
    if schema is None or _stays_as_it_is(node, schema):
        return Slots(frozenset(), frozenset())
    able = {c.type_param_str for c in schema.type_constraints if number_format.tensor_type in c.allowed_type_strs}
    inputs = {
        position: _type_of(schema.inputs, position)
        for position, name in enumerate(node.input)
        if name in floats and _type_of(schema.inputs, position) in able
    }
    # An output whose type no input determines has it from an attribute, and keeps it.
    outputs = [
        position
        for position, name in enumerate(node.output)
        if name in floats and _type_of(schema.outputs, position) in inputs.values()
    ]
    return Slots(frozenset(inputs), frozenset(outputs))


def _stays_as_it_is(node: onnx.NodeProto, schema: Any) -> bool:
    """Tell what takes no 16 bits, whatever its schema says of its tensors."""
    is_scattering = node.op_type in SCATTERING and attribute_of(node, "reduction", "none") != "none"
    return (
        node.op_type in ("BitCast", "Cast", *DEFINED_IN_FP32, *SCALED)
        or is_scattering
        or any(bodies(node))
        or any(not any(map(_is_tensor, c.allowed_type_strs)) for c in schema.type_constraints)  # sequences and the like
    )


def _is_tensor(kind: str) -> bool:
    return kind.startswith("tensor(")


@cache
def _schema(operator: str, domain: str, opset: int) -> Any:
    import onnx.defs

    try:
        return onnx.defs.get_schema(operator, opset, domain)
    except onnx.defs.SchemaError:
        return None


def _type_of(formal: Sequence[Any], position: int) -> str:
    """A parameter's type; the last one may stand for any number."""
    kind: str = formal[min(position, len(formal) - 1)].type_str
    return kind
