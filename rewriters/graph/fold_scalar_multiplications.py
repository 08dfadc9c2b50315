"""Multiplications and divisions by one number move into the weights that follow them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from rewriters import Call, Contract, graph_rewriter

if TYPE_CHECKING:
    from rewriters import Skip

MOVES_VALUES = {"Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze"}
LINEAR_WITH_WEIGHT = {"MatMul", "Gemm", "Conv", "ConvTranspose"}
# Beyond this, a factor may be what keeps the values in between within range.
SMALLEST_FACTOR = 1e-6


@dataclass(frozen=True)
class Rescaling:
    """One constant input of a node, and what to multiply it by."""

    node: gs.Node
    index: int
    factor: float


@graph_rewriter(precisions={"fp32"}, contract=Contract.close(1e-4))
def fold_scalar_multiplications(call: Call, graph: gs.Graph) -> list[str] | Skip:
    """Scaling by one number commutes with most operations, so it can be done once, in the weights of a later one.

    On RTMPose's head the exporter leaves five: the scale and the gain of each ScaleNorm, and the division of the
    attention by the root of its width. All five go: measured, the 182 nodes of RTMPose-s become 177. Only for fp32,
    since such divisions also keep half-precision values from overflowing.
    """
    outputs = {id(tensor) for tensor in graph.outputs}
    places = []
    for node in list(graph.nodes):
        factor = _scalar_factor(node)
        if factor is None:
            continue
        rescalings = _pushed_forward(node.outputs[0], factor, outputs)
        if rescalings is None:
            continue
        name = node.outputs[0].name
        for rescaling in rescalings:
            _rescale(rescaling)
        _bypass(node)
        places.append(node.name or name)
    return places


def _scalar_factor(node: gs.Node) -> float | None:
    """What the node multiplies its only variable input by; None for any other node."""
    if node.op not in {"Mul", "Div"} or len(node.inputs) != 2:
        return None
    index = _variable_index(node)
    if index is None or (node.op == "Div" and index == 1):
        return None
    value = _constant(node, 1 - index)
    if value is None or value.size != 1 or value.ndim > _rank(node.inputs[index]):
        return None
    number = float(value.reshape(()))
    if not SMALLEST_FACTOR <= abs(number) <= 1 / SMALLEST_FACTOR:
        return None
    return number if node.op == "Mul" else 1 / number


def _pushed_forward(tensor: gs.Tensor, factor: float, outputs: set[int]) -> list[Rescaling] | None:
    """The constants that have to change if `tensor` loses `factor`; None when it cannot be made up for."""
    rescalings: list[Rescaling] = []
    while len(tensor.outputs) == 1 and id(tensor) not in outputs:
        node = tensor.outputs[0]
        positions = [index for index, source in enumerate(node.inputs) if source is tensor]
        if len(positions) != 1:
            return None
        absorbed = _absorbed(node, positions[0], factor)
        if absorbed is not None:
            return [*rescalings, absorbed]
        passed = _passed(node, positions[0], factor)
        if passed is None:
            return None
        factor, adjustments = passed
        if not SMALLEST_FACTOR <= abs(factor) <= 1 / SMALLEST_FACTOR:
            return None
        rescalings += adjustments
        tensor = node.outputs[0]
    return None


def _absorbed(node: gs.Node, position: int, factor: float) -> Rescaling | None:
    """How a node makes up for the factor with its own constant, if it can."""
    if node.op in LINEAR_WITH_WEIGHT and position == 0 and _constant(node, 1) is not None:
        return Rescaling(node, 1, factor)
    if node.op == "Mul" and _constant(node, 1 - position) is not None:
        return Rescaling(node, 1 - position, factor)
    if node.op == "Div" and _constant(node, 1 - position) is not None:
        return Rescaling(node, 1 - position, 1 / factor)
    return None


def _passed(node: gs.Node, position: int, factor: float) -> tuple[float, list[Rescaling]] | None:
    """The factor behind a node that scaling commutes with, and the constants within it that have to change."""
    if (node.op in MOVES_VALUES and position == 0) or node.op in {"MatMul", "Mul"}:
        return factor, []
    if node.op == "Div":
        return (factor if position == 0 else 1 / factor), []
    if node.op in {"Relu", "LeakyRelu"} and factor > 0:
        return factor, []
    if node.op == "Pow" and position == 0 and factor > 0:
        exponent = _constant(node, 1)
        if exponent is not None and exponent.size == 1 and abs(float(exponent.reshape(()))) <= 4:
            return factor ** float(exponent.reshape(())), []
    if node.op == "Clip" and position == 0 and factor > 0:
        bounds = [index for index in range(1, len(node.inputs)) if not node.inputs[index].is_empty()]
        if all(_constant(node, index) is not None for index in bounds):
            return factor, [Rescaling(node, index, 1 / factor) for index in bounds]
    return None


def _rescale(rescaling: Rescaling) -> None:
    # The constant may be shared with nodes that are not rescaled, so it is replaced and not changed.
    node, index = rescaling.node, rescaling.index
    constant = node.inputs[index]
    values = np.asarray(constant.values.astype(np.float64) * rescaling.factor, dtype=constant.dtype)
    node.inputs[index] = gs.Constant(f"{constant.name}__for__{node.outputs[0].name}", values)


def _bypass(node: gs.Node) -> None:
    source, result = node.inputs[_variable_index(node)], node.outputs[0]
    for consumer in list(result.outputs):
        for index, tensor in enumerate(consumer.inputs):
            if tensor is result:
                consumer.inputs[index] = source
    node.inputs.clear()
    node.outputs.clear()


def _variable_index(node: gs.Node) -> int | None:
    variables = [index for index in (0, 1) if _constant(node, index) is None]
    return variables[0] if len(variables) == 1 else None


def _constant(node: gs.Node, index: int) -> np.ndarray | None:
    tensor = node.inputs[index]
    if not isinstance(tensor, gs.Constant):
        return None
    # Integers are counts and positions, not weights.
    return tensor.values if np.issubdtype(tensor.dtype, np.floating) else None


def _rank(tensor: gs.Tensor) -> int:
    return len(tensor.shape) if tensor.shape is not None else 0
