"""What an operator computes inside, on its way from inputs that fit into 16 bits to outputs that fit.

An engine may keep these in 16 bits as well: TensorRT's page "Accuracy Considerations" names overflowing reductions
and normalisations as what breaks fp16. ONNX Runtime computes most of them in fp32 on a CPU, so running a graph does not
show it. What multiplies matrices is not here: GPUs add its products up in fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

Attributes = Mapping[str, Any]
Axes = tuple[int, ...]
Values = NDArray[np.float64]


def intermediate(node: onnx.NodeProto, inputs: list[NDArray[Any]]) -> Values:
    """The largest in magnitude of what a node computes inside: one sum for every value that it sums up to.

    Args:
        node: Its operator is one of `INTERMEDIATES`.
        inputs: All of its inputs; those left out are empty.
    """
    import onnx

    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    axes_of, sums_of = INTERMEDIATES[node.op_type]
    values = inputs[0].astype(np.float64)
    axes = axes_of(attributes, inputs)
    with np.errstate(over="ignore"):
        return sums_of(values, axes)


def _given(attributes: Attributes, inputs: list[NDArray[Any]]) -> Axes:
    """The axes of a reduction, an attribute or, in newer operator sets, an input; none at all means all."""
    axes = attributes.get("axes", inputs[1].tolist() if len(inputs) > 1 else ())
    if not axes and attributes.get("noop_with_empty_axes"):
        return ()
    return tuple(axes) or tuple(range(inputs[0].ndim))


def _single(attributes: Attributes, inputs: list[NDArray[Any]]) -> Axes:
    return (attributes.get("axis", -1),)


def _from_one_on(attributes: Attributes, inputs: list[NDArray[Any]]) -> Axes:
    first: int = attributes.get("axis", -1)
    return tuple(range(first % inputs[0].ndim, inputs[0].ndim))


def _spatial(attributes: Attributes, inputs: list[NDArray[Any]]) -> Axes:
    return tuple(range(2, inputs[0].ndim))


def _channels_and_spatial(attributes: Attributes, inputs: list[NDArray[Any]]) -> Axes:
    """All axes but the first: an upper bound of what a group of channels covers."""
    return tuple(range(1, inputs[0].ndim))


def _sums(values: Values, axes: Axes) -> Values:
    # Terms of both signs cancel in the end, and not necessarily on the way.
    return np.asarray(np.abs(values).sum(axes))


def _sums_of_squares(values: Values, axes: Axes) -> Values:
    return np.asarray(np.square(values).sum(axes))


def _sums_of_squared_deviations(values: Values, axes: Axes) -> Values:
    return np.asarray(np.square(values - values.mean(axes, keepdims=True)).sum(axes))


def _sums_of_exponentials(values: Values, axes: Axes) -> Values:
    return np.asarray(np.exp(values).sum(axes))


def _sums_of_shifted_exponentials(values: Values, axes: Axes) -> Values:
    return np.asarray(np.exp(values - values.max(axes, keepdims=True)).sum(axes))


INTERMEDIATES: Mapping[
    str, tuple[Callable[[Attributes, list[NDArray[Any]]], Axes], Callable[[Values, Axes], Values]]
] = {
    "GlobalAveragePool": (_spatial, _sums),
    "GlobalLpPool": (_spatial, _sums_of_squares),
    "GroupNormalization": (_channels_and_spatial, _sums_of_squared_deviations),
    "InstanceNormalization": (_spatial, _sums_of_squared_deviations),
    "LayerNormalization": (_from_one_on, _sums_of_squared_deviations),
    "LogSoftmax": (_single, _sums_of_shifted_exponentials),
    "LpNormalization": (_single, _sums_of_squares),
    "RMSNormalization": (_from_one_on, _sums_of_squares),
    "ReduceL1": (_given, _sums),
    "ReduceL2": (_given, _sums_of_squares),
    "ReduceLogSum": (_given, _sums),
    "ReduceLogSumExp": (_given, _sums_of_exponentials),
    "ReduceMean": (_given, _sums),
    "ReduceSum": (_given, _sums),
    "ReduceSumSquare": (_given, _sums_of_squares),
    "Softmax": (_single, _sums_of_shifted_exponentials),
}
"""How to find the axes that an operator sums over, and what it sums, by operator."""

ROOTED = {
    "GlobalLpPool", "GroupNormalization", "InstanceNormalization", "LayerNormalization", "LpNormalization",
    "RMSNormalization", "ReduceL2",
}  # fmt: skip
"""What takes the root of its sums, or divides by it: there the smallest sum counts as much as the largest."""
