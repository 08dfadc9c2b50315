"""Adding nothing and multiplying by one are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx_graphsurgeon as gs

from rewriters import Call, Contract, graph_rewriter
from rewriters.graph.tensors import constant_input, is_output, name_of, use_instead

if TYPE_CHECKING:
    from rewriters import Skip

NEUTRAL = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1}
COMMUTATIVE = frozenset({"Add", "Mul"})


@graph_rewriter(after={"fold_constants"}, contract=Contract.exact)
def drop_neutral_arithmetic(call: Call, graph: gs.Graph) -> list[str] | Skip:
    """RetinaNet's box deltas have a mean of 0 and a deviation of 1, and RTMDet's points are not moved in their cells.

    A detector's configuration may say otherwise, so its network computes with what it says.
    """
    places = []
    for node in [node for node in graph.nodes if node.op in NEUTRAL]:
        source = _unchanged(node)
        if source is None or is_output(node.outputs[0], graph):
            continue
        use_instead(node.outputs[0], source)
        places.append(name_of(node))
    return places


def _unchanged(node: gs.Node) -> gs.Tensor | None:
    """The input that a node gives as it is; None where it changes it, or spreads it over a larger shape."""
    for index in (1, 0) if node.op in COMMUTATIVE else (1,):
        values, source = constant_input(node, index), node.inputs[1 - index]
        if values is None or not (values == NEUTRAL[node.op]).all():
            continue
        if source.shape is not None and all(source.shape) and source.shape == node.outputs[0].shape:
            return source
    return None
