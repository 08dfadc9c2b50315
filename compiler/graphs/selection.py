"""Where a graph begins to select: from there on, rounding decides about whole rows, and says nothing of a precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from compiler.graphs.walk import bodies, captured_names

if TYPE_CHECKING:
    import onnx

SELECTING = frozenset(
    {"ArgMax", "ArgMin", "Compress", "EfficientNMS_TRT", "NonMaxSuppression", "NonZero", "TopK", "Unique"}
)
"""Operators whose result says which of their input's values are chosen."""


def after_selection(model: onnx.ModelProto) -> frozenset[int]:
    """The nodes of the main graph that select, inside a function or a body too, and all that follow one."""
    functions = {(function.domain, function.name): function for function in model.functions}

    def selects(node: onnx.NodeProto) -> bool:
        function = functions.get((node.domain, node.op_type))
        inner = [*(function.node if function else ()), *(inside for body in bodies(node) for inside in body.node)]
        return node.op_type in SELECTING or any(map(selects, inner))

    found: set[int] = set()
    selected: set[str] = set()
    for index, node in enumerate(model.graph.node):
        if not selected.isdisjoint(_read(node)) or selects(node):
            found.add(index)
            selected.update(filter(None, node.output))
    return frozenset(found)


def before_selection(model: onnx.ModelProto) -> tuple[str, ...]:
    """The tensors that hold all that a graph computes before it selects anything.

    They are the outputs that nothing was selected for, and what is read together with a selection; without one, the
    outputs. Some may hold indices or masks.
    """
    nodes, after = model.graph.node, after_selection(model)
    computed = {name for node in nodes if node.op_type != "Constant" for name in node.output}
    selected = {name for index in after for name in nodes[index].output}
    read = [name for index in sorted(after) for name in _read(nodes[index]) if name in computed - selected]
    outputs = [output.name for output in model.graph.output if output.name not in selected]
    return tuple(dict.fromkeys([*read, *outputs]))


def with_open_selection(model: onnx.ModelProto, thresholds: Sequence[float]) -> onnx.ModelProto | None:
    """A copy of a model that selects from all of its candidates; None where nothing is compared with a threshold.

    Args:
        model: What it compares scores with is a constant.
        thresholds: That scores are compared with; those of zero are open already.
    """
    import onnx

    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    constants = {entry.name: onnx.numpy_helper.to_array(entry) for entry in model.graph.initializer}
    limits = [limit for limit in thresholds if limit > 0]
    places = [
        (node, constants[node.input[1]])
        for node in opened.graph.node
        if node.op_type in ("Greater", "GreaterOrEqual") and node.input[1] in constants
    ]
    places = [(node, value) for node, value in places if value.size == 1 and _is_one_of(float(value.item()), limits)]
    for index, (node, value) in enumerate(places):
        node.input[1] = f"open_threshold_{index}"
        opened.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros_like(value), node.input[1]))
    return opened if places else None


def _is_one_of(value: float, limits: Sequence[float]) -> bool:
    """Whether a number is one of several, as 16 bits have it too."""
    return any(abs(value - limit) <= limit / 256 for limit in limits)


def _read(node: onnx.NodeProto) -> list[str]:
    return [*node.input, *captured_names(node)]
