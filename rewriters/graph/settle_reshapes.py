"""Shapes that a Reshape can find out by itself are not computed in the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from rewriters import Call, Contract, graph_rewriter
from rewriters.graph.tensors import is_output, name_of, use_instead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rewriters import Skip

COPIED, REMAINING = 0, -1


@graph_rewriter(after={"fold_constants"}, contract=Contract.exact)
def settle_reshapes(call: Call, graph: gs.Graph) -> list[str] | Skip:
    """Where sizes vary, exporters compute the target of every Reshape from them, in four or five nodes.

    A Reshape copies dimensions where its input has them in the same place, and works one other out by itself. A Reshape
    or an Expand to the shape that its input has does nothing, and goes. The names of dimensions that vary tell which
    are equal; none of them may be zero, as is true of images.
    """
    places = []
    for node in [node for node in graph.nodes if node.op in {"Reshape", "Expand"}]:
        source, result = node.inputs[0], node.outputs[0]
        if _is_known(source.shape) and source.shape == result.shape and not is_output(result, graph):
            use_instead(result, source)
            places.append(name_of(node))
        elif node.op == "Reshape" and not isinstance(node.inputs[1], gs.Constant):
            target = _target(source.shape, result.shape)
            if target is None:
                continue
            node.inputs[1] = gs.Constant(f"{result.name}__shape", np.array(target, np.int64))
            node.attrs.pop("allowzero", None)  # zero, the default, is the only meaning before opset 14
            places.append(name_of(node))
    return places


def _is_known(shape: Sequence[int | str | None] | None) -> bool:
    """Tell whether every dimension has a length that is not zero, or a name."""
    return shape is not None and all(shape)


def _target(source: Sequence[int | str | None] | None, result: Sequence[int | str | None] | None) -> list[int] | None:
    """A constant target that gives the result's shape; None where two dimensions would have to be worked out."""
    if source is None or result is None:
        return None
    target = [_settled(source, position, length) for position, length in enumerate(result)]
    return target if target.count(REMAINING) <= 1 else None


def _settled(source: Sequence[int | str | None], position: int, length: int | str | None) -> int:
    if isinstance(length, int) and length > 0:
        return length
    is_copied = bool(length) and position < len(source) and source[position] == length
    return COPIED if is_copied else REMAINING
