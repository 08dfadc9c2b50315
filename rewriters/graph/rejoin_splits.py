"""What is taken apart only to be put together again stays whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx_graphsurgeon as gs

from rewriters import Call, Contract, graph_rewriter
from rewriters.graph.tensors import is_output, name_of, use_instead

if TYPE_CHECKING:
    from rewriters import Skip


@graph_rewriter(contract=Contract.exact)
def rejoin_splits(call: Call, graph: gs.Graph) -> list[str] | Skip:
    """Detectors choose the best boxes of each feature map; where all of a map's are kept, there is nothing to join."""
    places = []
    for node in [node for node in graph.nodes if node.op == "Concat"]:
        split = node.i() if node.inputs and node.inputs[0].inputs else None
        if split is None or split.op != "Split" or not _is_inverse(node, split) or is_output(node.outputs[0], graph):
            continue
        use_instead(node.outputs[0], split.inputs[0])
        places.append(name_of(node))
    return places


def _is_inverse(join: gs.Node, split: gs.Node) -> bool:
    """Tell whether a Concat has all parts of a Split in their order, along the same axis."""
    shape = split.inputs[0].shape
    if len(join.inputs) != len(split.outputs) or shape is None:
        return False
    axes = {join.attrs["axis"] % len(shape), split.attrs.get("axis", 0) % len(shape)}
    return len(axes) == 1 and all(part is own for part, own in zip(join.inputs, split.outputs, strict=True))
