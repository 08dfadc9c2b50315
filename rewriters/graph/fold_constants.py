"""What depends on constants alone is computed once, while compiling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx.shape_inference
import onnx_graphsurgeon as gs
from onnx.reference import ReferenceEvaluator

from rewriters import Call, Contract, graph_rewriter
from rewriters.graph.tensors import is_output, name_of, use_instead

if TYPE_CHECKING:
    from rewriters import Skip

MOVES_VALUES = frozenset(
    {
        *("Concat", "ConstantOfShape", "Expand", "Flatten", "Gather", "Identity", "Range", "Reshape", "Shape", "Slice"),
        *("Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
    }
)
# Their results are rounded correctly, so that all implementations agree to the last bit.
ROUNDS_CORRECTLY = frozenset({"Add", "Cast", "Div", "Max", "Min", "Mul", "Neg", "Sqrt", "Sub", "Where"})
LARGEST_RESULT = 2**22
"""In numbers: a tensor above this makes the file larger than the work is worth."""


@graph_rewriter(contract=Contract.exact)
def fold_constants(call: Call, graph: gs.Graph) -> list[str] | Skip:
    """A detector's anchors follow from the size of its input alone; exporters leave those above 262144 numbers.

    Only operators whose results do not depend on who computes them are folded.
    """
    places = []
    for node in list(graph.nodes):
        if not _is_foldable(node, graph):
            continue
        model = _alone(node, graph)
        if _largest_result(model) > LARGEST_RESULT:
            continue
        results = [np.asarray(result) for result in ReferenceEvaluator(model).run(None, {})]
        if any(result.size > LARGEST_RESULT for result in results):
            continue
        places.append(name_of(node))
        for tensor, result in zip(list(node.outputs), results, strict=True):
            use_instead(tensor, gs.Constant(f"{tensor.name}__folded", result))
    return places


def _is_foldable(node: gs.Node, graph: gs.Graph) -> bool:
    return (
        node.domain in (None, "", "ai.onnx")
        and node.op in MOVES_VALUES | ROUNDS_CORRECTLY
        and all(isinstance(tensor, gs.Constant) for tensor in node.inputs)
        and not any(is_output(tensor, graph) for tensor in node.outputs)
    )


def _alone(node: gs.Node, graph: gs.Graph) -> onnx.ModelProto:
    """A model of one node and its constant inputs."""
    names = [f"output_{index}" for index, _ in enumerate(node.outputs)]
    alone = gs.Node(node.op, attrs=node.attrs, inputs=list(node.inputs), outputs=[gs.Variable(name) for name in names])
    model: onnx.ModelProto = gs.export_onnx(
        gs.Graph([alone], outputs=alone.outputs, opset=graph.opset), do_type_check=False
    )
    alone.inputs.clear()
    return model


def _largest_result(model: onnx.ModelProto) -> int:
    """How many numbers the largest output of a model has, where that follows from its constants; else 0.

    One number can ask for as many as there are: nothing is computed before that is known.
    """
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    shapes = [[length.dim_value for length in output.type.tensor_type.shape.dim] for output in inferred.graph.output]
    return max(map(math.prod, shapes), default=0)
