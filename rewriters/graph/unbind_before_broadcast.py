"""What is stacked only to be taken apart again is computed in parts from the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from rewriters import Call, Contract, graph_rewriter

if TYPE_CHECKING:
    from rewriters import Skip

ELEMENTWISE = {"Mul", "Add", "Sub", "Div"}


@dataclass(frozen=True)
class Part:
    """One slice along the stacked axis: its position, and the tensor that holds it without that axis."""

    position: int
    tensor: gs.Variable


@graph_rewriter(opsets=">=13", contract=Contract.exact)
def unbind_before_broadcast(call: Call, graph: gs.Graph) -> list[str] | Skip:
    """Unsqueeze, arithmetic with constants, then unbind is the same arithmetic once for each part.

    This is how the gated attention unit makes queries and keys from one projection. Measured on RTMPose-s, its seven
    nodes become four, none of which slices or needs a fourth dimension.
    """
    places = []
    for node in [node for node in graph.nodes if node.op == "Unsqueeze"]:
        stacked = node.outputs[0]
        axis = _axis(node, 1, len(stacked.shape)) if stacked.shape is not None else None
        if axis is None:
            continue
        chain = _arithmetic_after(node)
        parts = _parts(chain[-1].outputs[0], axis, graph) if chain else None
        if not parts:
            continue
        name = node.name or node.outputs[0].name
        for part in parts:
            graph.nodes.extend(_recomputed(node.inputs[0], chain, part, axis))
        places.append(name)
    return places


def _arithmetic_after(node: gs.Node) -> list[gs.Node]:
    """The element-wise nodes with a constant that follow one another from the node on."""
    chain: list[gs.Node] = []
    tensor, rank = node.outputs[0], len(node.outputs[0].shape)
    while len(tensor.outputs) == 1 and tensor.outputs[0].op in ELEMENTWISE:
        following = tensor.outputs[0]
        constants = [source for source in following.inputs if isinstance(source, gs.Constant)]
        # A constant of higher rank would move the axis.
        if len(constants) != 1 or len(constants[0].shape) > rank:
            break
        chain.append(following)
        tensor = following.outputs[0]
    return chain


def _parts(tensor: gs.Variable, axis: int, graph: gs.Graph) -> list[Part] | None:
    """The parts that a stacked tensor is taken apart into; None when it is also used as a whole."""
    if any(tensor is output for output in graph.outputs) or not tensor.outputs:
        return None
    parts = [_part(consumer, tensor, axis) for consumer in tensor.outputs]
    return None if None in parts else [part for part in parts if part is not None]


def _part(consumer: gs.Node, stacked: gs.Variable, axis: int) -> Part | None:
    length = stacked.shape[axis] if stacked.shape is not None else None
    if not isinstance(length, int) or consumer.inputs[0] is not stacked:
        return None
    if consumer.op == "Gather" and consumer.attrs.get("axis", 0) % len(stacked.shape) == axis:
        index = consumer.inputs[1]
        if isinstance(index, gs.Constant) and index.values.ndim == 0:
            return Part(int(index.values) % length, consumer.outputs[0])
    if consumer.op == "Slice" and len(consumer.outputs[0].outputs) == 1:
        squeeze = consumer.outputs[0].outputs[0]
        starts, ends = (_integers(consumer, index) for index in (1, 2))
        steps = _integers(consumer, 4) if len(consumer.inputs) > 4 else [1]
        axes = (_axis(consumer, 3, len(stacked.shape)), _axis(squeeze, 1, len(stacked.shape)))
        if squeeze.op == "Squeeze" and axes == (axis, axis) and steps == [1]:
            return _unit_slice(starts, ends, length, squeeze.outputs[0])
    return None


def _unit_slice(starts: list[int] | None, ends: list[int] | None, length: int, tensor: gs.Variable) -> Part | None:
    if starts is None or ends is None:
        return None
    (position,) = range(length)[starts[0] : ends[0]] or (None,)
    return None if position is None else Part(position, tensor)


def _recomputed(source: gs.Variable, chain: list[gs.Node], part: Part, axis: int) -> list[gs.Node]:
    """The chain again, for one part; its last node takes over the part's tensor."""
    nodes = []
    tensor = source
    for node in chain:
        name = f"{node.outputs[0].name}_at_{part.position}_for_{part.tensor.name}"
        inputs = [
            _at(value, part.position, axis, node.outputs[0], name) if isinstance(value, gs.Constant) else tensor
            for value in node.inputs
        ]
        tensor = gs.Variable(f"{name}_output", dtype=source.dtype)
        nodes.append(gs.Node(node.op, name, inputs=inputs, outputs=[tensor]))
    part.tensor.inputs.clear()
    nodes[-1].outputs = [part.tensor]
    return nodes


def _at(constant: gs.Constant, position: int, axis: int, stacked: gs.Variable, name: str) -> gs.Constant:
    """What a constant holds at one position of the stacked axis."""
    # Broadcasting lines shapes up from the right.
    own_axis = axis - (len(stacked.shape) - constant.values.ndim)
    if own_axis < 0:
        return constant
    length = constant.values.shape[own_axis]
    values = np.take(constant.values, position if length > 1 else 0, axis=own_axis)
    return gs.Constant(f"{constant.name}__for__{name}", np.asarray(values))


def _integers(node: gs.Node, index: int) -> list[int] | None:
    if index >= len(node.inputs) or not isinstance(node.inputs[index], gs.Constant):
        return None
    return [int(value) for value in node.inputs[index].values.reshape(-1)]


def _axis(node: gs.Node, index: int, rank: int) -> int | None:
    """The one axis that an input of the node names, counted from the front."""
    axes = _integers(node, index)
    return axes[0] % rank if axes is not None and len(axes) == 1 else None
