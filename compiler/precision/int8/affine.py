"""The arithmetic of 8-bit numbers, as ONNX's QuantizeLinear defines it: q = saturate(round(x / scale) + zero point)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.precision.int8.schemes import ACTIVATIONS, WEIGHT_ZERO_POINTS, QuantizationScheme
from compiler.precision.int8.table import Range

SMALLEST_SCALE = float(np.finfo(np.float32).tiny)
"""Below it a float32 loses digits, and engines flush it to zero."""
LARGEST_BIAS = 2**30
"""Half of what int32 holds: the other half is left to the products that are added to it."""


@dataclass(frozen=True)
class Parameters:
    """How a tensor is quantised.

    Attributes:
        scale: float32, [] for the whole tensor or [channels].
        zero_point: Of the integer type that the tensor is held in, same shape.
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[Any]


def activation_parameters(values: Range, scheme: QuantizationScheme) -> Parameters:
    """The scale and zero point that hold a range, and zero exactly. An empty range has scale 1."""
    dtype = np.dtype(scheme.activations)
    smallest, largest = ACTIVATIONS[scheme.activations]
    low, high = min(values.low, 0.0), max(values.high, 0.0)
    if low == high:
        return Parameters(np.array(1.0, np.float32), np.array(0, dtype))
    if scheme.symmetric_activations:
        return Parameters(_scale(max(-low, high) / largest), np.array(0, dtype))
    scale = _scale((high - low) / (largest - smallest))
    zero_point = np.clip(np.rint(smallest - low / float(scale)), smallest, largest)
    return Parameters(scale, zero_point.astype(dtype))


def weight_parameters(
    weight: NDArray[Any], scheme: QuantizationScheme, axis: int | None, least: NDArray[Any] | float = 0.0
) -> Parameters:
    """The scales of a weight, symmetric around the zero point of its scheme.

    Args:
        weight: float32.
        scheme: Says which integers hold it.
        axis: Of the output channels; None for one scale for the whole weight.
        least: The scales may not be smaller, [] or [channels].
    """
    reduced = tuple(position for position in range(weight.ndim) if position != axis) if axis is not None else None
    magnitudes = np.abs(weight.astype(np.float64)).max(axis=reduced, initial=0.0)
    scales = np.maximum(magnitudes / scheme.largest_weight, least)
    scale = _scale(np.where(scales > 0.0, scales, 1.0))
    return Parameters(scale, np.full(scale.shape, WEIGHT_ZERO_POINTS[scheme.weights], scheme.weights))


def least_weight_scale(bias: NDArray[Any], activation_scale: NDArray[Any]) -> NDArray[np.float64]:
    """The smallest weight scales at which a bias, held at the scale of the product, still fits int32, [n]."""
    smallest: NDArray[np.float64] = np.abs(bias.astype(np.float64)) / (float(activation_scale) * LARGEST_BIAS)
    return smallest


def quantized_weight(
    weight: NDArray[Any], scheme: QuantizationScheme, parameters: Parameters, axis: int | None
) -> NDArray[Any]:
    """The integers of a weight, same shape."""
    scale = parameters.scale.astype(np.float64)
    if axis is not None:
        scale = scale.reshape([-1 if position == axis else 1 for position in range(weight.ndim)])
    steps = np.clip(np.rint(weight / scale), -scheme.largest_weight, scheme.largest_weight)
    return (steps + WEIGHT_ZERO_POINTS[scheme.weights]).astype(scheme.weights)


def quantized_bias(bias: NDArray[Any], scale: NDArray[np.float32]) -> NDArray[np.int32]:
    """A bias at the scale of the product of activation and weight, int32 [n]."""
    limits = np.iinfo(np.int32)
    return np.clip(np.rint(bias / scale.astype(np.float64)), limits.min, limits.max).astype(np.int32)


def _scale(scale: Any) -> NDArray[np.float32]:
    return np.maximum(np.asarray(scale, np.float64), SMALLEST_SCALE).astype(np.float32)
