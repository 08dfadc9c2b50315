"""Weights that are stored in fewer bits than they are computed with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from compiler.backends.coreml.operations.elementwise import tensor


def constexpr_affine_dequantize(quantized_data: Tensor, zero_point: Any, scale: Any, axis: int) -> Tensor:
    """Whole numbers minus a zero point, times a scale, each of its own channel."""
    shape = [-1 if place == int(axis) % quantized_data.dim() else 1 for place in range(quantized_data.dim())]
    offset, factor = (_along(tensor(value), shape) for value in (zero_point, scale))
    return (quantized_data - offset) * factor


def constexpr_blockwise_shift_scale(data: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
    """Whole numbers minus an offset, times a scale, each of its own block."""
    for axis, (length, blocks) in enumerate(zip(data.shape, scale.shape, strict=True)):
        scale = scale.repeat_interleave(length // blocks, axis)
        offset = None if offset is None else offset.repeat_interleave(length // blocks, axis)
    return (data if offset is None else data - offset) * scale


def _along(values: Tensor, shape: list[int]) -> Tensor:
    return values if values.numel() == 1 else values.reshape(shape)


WEIGHTS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function for function in (constexpr_affine_dequantize, constexpr_blockwise_shift_scale)
}
