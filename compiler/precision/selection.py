"""Where a graph begins to select: from there on, rounding decides about whole rows, and says nothing of a precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

SELECTIVE = frozenset(
    {"ArgMax", "ArgMin", "Compress", "EfficientNMS_TRT", "NonMaxSuppression", "NonZero", "TopK", "Unique"}
)
"""Operators whose result says which of their input's values are chosen."""


def before_selection(model: onnx.ModelProto) -> tuple[str, ...]:
    """Return the tensors that hold all that a graph computes before it selects anything.

    They are the outputs that nothing was selected for, and what is read together with a selection; without one, the
    outputs. Some may hold indices or masks.
    """
    graph = model.graph
    computed = {name for node in graph.node if node.op_type != "Constant" for name in node.output}
    selected: set[str] = set()
    read: list[str] = []
    for node in graph.node:
        if node.op_type in SELECTIVE or not selected.isdisjoint(node.input):
            read += (name for name in node.input if name in computed and name not in selected)
            selected.update(node.output)
    outputs = (output.name for output in graph.output if output.name not in selected)
    return tuple(dict.fromkeys([*read, *outputs]))
