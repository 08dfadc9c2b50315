"""Patterns of nodes: what a tensor is computed from, checked backwards from where it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx_graphsurgeon as gs


@dataclass(frozen=True, eq=False)
class Anything:
    """Any tensor; the same one wherever the pattern stands."""


@dataclass(frozen=True, eq=False)
class Known:
    """A constant; wherever the pattern stands, of the same value.

    Attributes:
        values: What it holds, whatever its type; None for anything.
    """

    values: Any = None


@dataclass(frozen=True, eq=False)
class Computed:
    """A tensor that a node of one standard operator makes.

    Attributes:
        operator: Its type.
        inputs: What it is made from, in order; no further inputs may be given.
        attributes: What they have to be, given or by default.
        output: Which of the node's outputs it is.
    """

    operator: str
    inputs: tuple[Pattern, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    output: int = 0


Pattern: TypeAlias = "Anything | Known | Computed"


class Match:
    """Which tensors patterns stand for, as found so far.

    Args:
        opset: Of the graph: says what attributes are by default.
    """

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.tensors: dict[Pattern, gs.Tensor] = {}
        self.nodes: list[gs.Node] = []

    def copy(self) -> Match:
        """Another match that has found the same so far."""
        other = Match(self.opset)
        other.tensors, other.nodes = dict(self.tensors), list(self.nodes)
        return other

    def add(self, pattern: Pattern, tensor: gs.Tensor) -> bool:
        """Tell whether a tensor is what a pattern describes, and remember it; after a no, the match is of no use."""
        if pattern in self.tensors:
            return _same(self.tensors[pattern], tensor)
        self.tensors[pattern] = tensor
        if isinstance(pattern, Known):
            return isinstance(tensor, gs.Constant) and _holds(tensor, pattern.values)
        return isinstance(pattern, Anything) or self._add_node(pattern, tensor)

    def _add_node(self, pattern: Computed, tensor: gs.Tensor) -> bool:
        node = tensor.inputs[0] if tensor.inputs else None
        if node is None or node.op != pattern.operator or node.domain not in (None, "", "ai.onnx"):
            return False
        self.nodes.append(node)
        return (
            node.outputs[pattern.output] is tensor
            and len(node.inputs) == len(pattern.inputs)
            and all(attribute(node, name, self.opset) == value for name, value in pattern.attributes.items())
            and all(map(self.add, pattern.inputs, node.inputs))
        )


def attribute(node: gs.Node, name: str, opset: int) -> Any:
    """An attribute of a node of a standard operator, or the attribute's default; None where it has neither."""
    if name in node.attrs:
        return node.attrs[name]
    known = onnx.defs.get_schema(node.op, opset).attributes
    default = known[name].default_value if name in known else None
    value = onnx.helper.get_attribute_value(default) if default is not None and default.type else None
    return value.decode() if isinstance(value, bytes) else value


def _same(first: gs.Tensor, second: gs.Tensor) -> bool:
    both_constant = isinstance(first, gs.Constant) and isinstance(second, gs.Constant)
    return first is second or (both_constant and np.array_equal(first.values, second.values))


def _holds(constant: gs.Constant, values: Any) -> bool:
    return values is None or np.array_equal(constant.values, values)
