"""The best of many are found a few thousand at a time, since TensorRT does not look for more at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from rewriters import Call, Contract, graph_rewriter
from rewriters.graph.tensors import is_output, name_of

if TYPE_CHECKING:
    from rewriters import Skip

MOST = 3840
"""The largest K of TensorRT (TensorRT Operators, TopK) and of TensorRT-RTX 1.7.1, where it was measured."""
MOST_ROUNDS = 16
"""Each goes through all values once more."""
KEEPS_VALUES = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
UNKNOWN = math.inf
"""The bound of what the graph says nothing about."""


@graph_rewriter(backends={"tensorrt", "tensorrt_rtx"}, after={"fold_constants"}, contract=Contract.exact)
def split_top_k(call: Call, graph: gs.Graph) -> list[str] | Skip:
    """RTMDet looks at the 30000 best scores of each level, and TensorRT finds at most 3840 at once.

    The best 3840 are taken out of the scores, then the best of what is left, and so on; one after the other they are
    what one large TopK gives. This is exact for values. Where their places are asked for too, those of infinite values
    could be wrong, and the node stays.
    """
    places, reasons = [], []
    for node in [node for node in graph.nodes if node.op == "TopK"]:
        bound = _bound(node.inputs[1])
        if bound <= MOST:
            continue
        reason = _obstacle(node, bound, graph)
        if reason:
            reasons.append(f"{name_of(node)}: {reason}")
            continue
        _split(node, _rounds(bound), graph)
        places.append(name_of(node))
    return call.skip("; ".join(reasons)) if reasons and not places else places


def _obstacle(node: gs.Node, bound: float, graph: gs.Graph) -> str:
    """Why a node cannot be split; nothing if it can."""
    if bound == UNKNOWN:
        return "the graph does not say how large K can be"
    if _rounds(bound) > MOST_ROUNDS:
        return f"it would take {_rounds(bound)} rounds"
    indices = node.outputs[1]
    if indices.outputs or is_output(indices, graph):
        return "the places of the values are needed too"
    if node.inputs[0].dtype not in (np.float16, np.float32, np.float64):
        return "its values are not known to be floating-point numbers"
    return ""


def _bound(tensor: gs.Tensor) -> float:
    """The largest number that a tensor can hold, as far as the graph says."""
    if isinstance(tensor, gs.Constant):
        return float(tensor.values.max())
    maker = tensor.inputs[0] if tensor.inputs else None
    if maker is not None and maker.op in KEEPS_VALUES:
        return _bound(maker.inputs[0])
    return min(map(_bound, maker.inputs)) if maker is not None and maker.op == "Min" else UNKNOWN


def _rounds(bound: float) -> int:
    return math.ceil(bound / MOST)


def _split(node: gs.Node, rounds: int, graph: gs.Graph) -> None:
    """Replace a node by several that find at most `MOST` each, and one that keeps as many as it found."""
    (rest, k), values = node.inputs, node.outputs[0]
    axis, largest = node.attrs.get("axis", -1), node.attrs.get("largest", 1)
    name, dtype = values.name, rest.dtype
    worst = np.array([-np.inf if largest else np.inf], dtype)

    def computed(operator: str, part: str, inputs: list[gs.Tensor], dtype: type, **attributes: object) -> gs.Variable:
        result = gs.Variable(f"{name}__{part}", dtype=dtype)
        graph.nodes.append(gs.Node(operator, result.name, attributes, inputs, [result]))
        return result

    at_once = computed("Min", "at_once", [k, gs.Constant(f"{name}__most", np.array([MOST]))], np.int64)
    found = []
    for number in range(rounds):
        best = computed("TopK", f"best_{number}", [rest, at_once], dtype, axis=axis, largest=largest)
        places = gs.Variable(f"{name}__places_{number}", dtype=np.int64)
        best.inputs[0].outputs.append(places)
        found.append(best)
        if number < rounds - 1:
            shape = computed("Shape", f"shape_{number}", [places], np.int64)
            taken = computed("ConstantOfShape", f"taken_{number}", [shape], dtype, value=gs.Constant("", worst))
            rest = computed("ScatterElements", f"rest_{number}", [rest, places, taken], dtype, axis=axis)
    joined = computed("Concat", "joined", found, dtype, axis=axis)
    first, axes = (gs.Constant(f"{name}__{part}", np.array([at])) for part, at in (("first", 0), ("axes", axis)))
    values.inputs.clear()
    graph.nodes.append(gs.Node("Slice", name, inputs=[joined, first, k, axes], outputs=[values]))
