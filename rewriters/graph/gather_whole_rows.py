"""Rows are gathered as rows, not number by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from rewriters import Call, Contract, graph_rewriter
from rewriters.graph.tensors import name_of

if TYPE_CHECKING:
    from rewriters import Skip


@graph_rewriter(opsets=">=13", contract=Contract.exact)
def gather_whole_rows(call: Call, graph: gs.Graph) -> list[str] | Skip:
    """Torch gathers the boxes and scores of the best candidates with an index for each number of a row, all equal.

    GatherND takes one index for the row, so the indices need not be repeated, and rows are copied as a whole.
    """
    places = []
    for node in [node for node in graph.nodes if node.op == "GatherElements"]:
        index = _row_index(node)
        if index is None:
            continue
        if len(index.shape) > 3:
            flat = gs.Variable(f"{node.outputs[0].name}__rows", dtype=index.dtype)
            shape = gs.Constant(f"{flat.name}__shape", np.array([0, 0, 1], np.int64))
            graph.nodes.append(gs.Node("Reshape", f"{name_of(node)}__rows", inputs=[index, shape], outputs=[flat]))
            index = flat
        node.op, node.attrs = "GatherND", {"batch_dims": 1}
        node.inputs[1] = index
        places.append(name_of(node))
    return places


def _row_index(node: gs.Node) -> gs.Tensor | None:
    """The indices, `[b, k, 1, ...]`, that are repeated for whole rows of data `[b, n, ...]`; None if not so."""
    data, index = node.inputs
    if node.attrs.get("axis", 0) != 1 or not index.inputs or index.inputs[0].op != "Expand":
        return None
    source = index.inputs[0].inputs[0]
    shapes = (data.shape, source.shape, index.shape)
    if any(shape is None or len(shape) != len(data.shape) or not all(shape) for shape in shapes):
        return None
    is_of_rows = all(length == 1 for length in source.shape[2:]) and source.shape[:2] == index.shape[:2]
    # An index over fewer images, or over a part of a row, would leave the rest out.
    is_whole = index.shape[0] == data.shape[0] and index.shape[2:] == data.shape[2:]
    return source if len(data.shape) > 2 and is_of_rows and is_whole else None
