"""A graph as a whole: who makes which tensor, who reads it, and which operators take a 16-bit format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compiler.errors import CompileError
from compiler.precision.half.formats import Format

if TYPE_CHECKING:
    import onnx

SELECTING = {"ArgMax", "ArgMin", "EfficientNMS_TRT", "NonMaxSuppression", "NonZero", "TopK", "Unique"}
"""What turns values into positions: a rounding error in front of one is a different choice behind it, not an error."""


@dataclass(frozen=True)
class Slots:
    """Where a node takes and gives a 16-bit format: positions among its inputs and outputs."""

    inputs: frozenset[int]
    outputs: frozenset[int]


@dataclass(frozen=True)
class Wiring:
    """The main graph of a model.

    Attributes:
        model: With constants as initializers, a name for every node, and the types of all tensors.
        nodes: In the order they run in.
        slots: Of each node.
        floats: The names of all tensors in fp32.
        weights: The initializers in fp32.
        producers: The node that makes a tensor; graph inputs and initializers have none.
        consumers: The nodes that read a tensor, and as which of their inputs.
        captured: Tensors that the body of an If, Loop or Scan reads.
    """

    model: onnx.ModelProto
    nodes: tuple[onnx.NodeProto, ...]
    slots: tuple[Slots, ...]
    floats: frozenset[str]
    weights: Mapping[str, NDArray[np.float32]]
    producers: Mapping[str, int]
    consumers: Mapping[str, tuple[tuple[int, int], ...]]
    captured: frozenset[str]

    def can_be_half(self, node: int) -> bool:
        """Tell whether a node takes or gives a 16-bit format at all."""
        return bool(self.slots[node].inputs or self.slots[node].outputs)

    def reads_or_gives_floats(self, node: int) -> bool:
        """Tell whether a node has anything to do with fp32 tensors."""
        return any(name in self.floats for name in (*self.nodes[node].input, *self.nodes[node].output))

    def neighbours(self, tensor: str) -> frozenset[int]:
        """Return the nodes that make and read a tensor."""
        makers = [self.producers[tensor]] if tensor in self.producers else []
        return frozenset([*makers, *(node for node, _ in self.consumers.get(tensor, ()))])

    def ahead(self, node: int) -> frozenset[int]:
        """Return the nodes that make what a node reads."""
        return frozenset(self.producers[name] for name in self.nodes[node].input if name in self.producers)

    def behind(self, node: int) -> frozenset[int]:
        """Return the nodes that read what a node makes."""
        return frozenset(reader for name in self.nodes[node].output for reader, _ in self.consumers.get(name, ()))

    def selecting(self) -> frozenset[int]:
        """Return the nodes that turn values into positions, also inside a function."""
        functions = {(function.domain, function.name): function for function in self.model.functions}

        def selects(node: onnx.NodeProto) -> bool:
            function = functions.get((node.domain, node.op_type))
            return node.op_type in SELECTING or (function is not None and any(map(selects, function.node)))

        return frozenset(index for index, node in enumerate(self.nodes) if selects(node))

    def after_selecting(self) -> frozenset[int]:
        """Return the nodes that select, and all nodes that follow one."""
        found = set(self.selecting())
        for index, node in enumerate(self.nodes):
            if any(self.producers.get(name) in found for name in node.input):
                found.add(index)
        return frozenset(found)

    def watched(self) -> tuple[str, ...]:
        """Return the fp32 tensors in which errors are measured.

        They are the outputs, and for those that follow a selection, what the first selection on the way reads.
        """
        selected = self.after_selecting()
        outputs = [v.name for v in self.model.graph.output if self.producers.get(v.name) not in selected]
        read = [
            name
            for index in sorted(selected)
            for name in self.nodes[index].input
            if name not in self.weights and self.producers.get(name) not in selected
        ]
        inputs = {value.name for value in self.model.graph.input}
        return tuple(dict.fromkeys(name for name in (*outputs, *read) if name in self.floats - inputs))


def wire(model: onnx.ModelProto, format: Format) -> Wiring:
    """Prepare a copy of a model, and look at its main graph.

    Raises:
        CompileError: The model's operator set is too old for the format and cannot be converted.
    """
    import onnx

    model = _with_operator_set_for(model, format)
    _lift_constants(model.graph)
    _name_nodes(model.graph)
    model = onnx.shape_inference.infer_shapes(model)
    floats = frozenset(name for name, kind in _element_types(model.graph) if kind == onnx.TensorProto.FLOAT)
    opsets = {_domain(entry.domain): entry.version for entry in model.opset_import}
    nodes = tuple(model.graph.node)
    consumers: dict[str, list[tuple[int, int]]] = {}
    for index, node in enumerate(nodes):
        for position, name in enumerate(node.input):
            if name:
                consumers.setdefault(name, []).append((index, position))
    return Wiring(
        model=model,
        nodes=nodes,
        slots=tuple(_slots(node, opsets, floats, format) for node in nodes),
        floats=floats,
        weights={t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name in floats},
        producers={name: index for index, node in enumerate(nodes) for name in node.output if name},
        consumers={name: tuple(readers) for name, readers in consumers.items()},
        captured=frozenset(name for node in nodes for body in _bodies(node) for name in _names_read(body)),
    )


def _with_operator_set_for(model: onnx.ModelProto, format: Format) -> onnx.ModelProto:
    import onnx
    from onnx import version_converter

    opset = next(entry.version for entry in model.opset_import if not _domain(entry.domain))
    if opset >= format.opset:
        copied = onnx.ModelProto()
        copied.CopyFrom(model)
        return copied
    try:
        converted: onnx.ModelProto = version_converter.convert_version(model, format.opset)
    except Exception as error:  # onnx has no base class for what its converter raises
        raise CompileError(
            f"the Program cannot be written in {format.name}",
            where=f"operator set {opset}",
            why=f"{format.name} needs operator set {format.opset}: {str(error).strip().splitlines()[0]}",
            fix=f"export with operator set {format.opset} or newer",
        ) from error
    # The converter forgets them; they have an operator set of their own.
    converted.functions.extend(model.functions)
    return converted


def _lift_constants(graph: onnx.GraphProto) -> None:
    """Turn the nodes that hold a constant in fp32 into initializers, so that both are read in one way."""
    import onnx

    kept = []
    for node in graph.node:
        value = _constant(node)
        if value is None or value.dtype != np.float32:
            kept.append(node)
        else:
            graph.initializer.append(onnx.numpy_helper.from_array(value, node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)


def _constant(node: onnx.NodeProto) -> NDArray[Any] | None:
    import onnx

    if node.op_type != "Constant" or node.attribute[0].name not in {"value", "value_float", "value_floats"}:
        return None
    value = onnx.helper.get_attribute_value(node.attribute[0])
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return np.array(value, np.float32)


def _name_nodes(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        node.name = node.name or next(name for name in node.output if name)


def _element_types(graph: onnx.GraphProto) -> Iterator[tuple[str, int]]:
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name, value.type.tensor_type.elem_type
    for tensor in graph.initializer:
        yield tensor.name, tensor.data_type


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _slots(node: onnx.NodeProto, opsets: Mapping[str, int], floats: frozenset[str], format: Format) -> Slots:
    """Return where ONNX's schema of an operator ties an fp32 tensor to a type that may be 16 bits wide.

    Casts have none: they stand on borders, and are written anew there.
    """
    schema = _schema(node.op_type, _domain(node.domain), opsets.get(_domain(node.domain), 1))
    if schema is None or node.op_type == "Cast" or any(_bodies(node)):
        return Slots(frozenset(), frozenset())
    able = {c.type_param_str for c in schema.type_constraints if format.tensor_type in c.allowed_type_strs}
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


@cache
def _schema(operator: str, domain: str, opset: int) -> Any:
    import onnx.defs

    try:
        return onnx.defs.get_schema(operator, opset, domain)
    except onnx.defs.SchemaError:
        return None


def _type_of(formal: Sequence[Any], position: int) -> str:
    """Return a parameter's type; the last one may stand for any number."""
    kind: str = formal[min(position, len(formal) - 1)].type_str
    return kind


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        yield from (body for body in (attribute.g, *attribute.graphs) if body.node or body.output)


def _names_read(body: onnx.GraphProto) -> Iterator[str]:
    """Yield every name that a body reads or passes on, those of its own tensors included."""
    yield from (value.name for value in body.output)
    for node in body.node:
        yield from node.input
        for inner in _bodies(node):
            yield from _names_read(inner)
