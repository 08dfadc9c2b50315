"""Measuring what a rewriter does to the numbers."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from rewriters.errors import RewriterError


def detached_copy(arguments: Any) -> Any:
    """The arguments with every tensor copied, so that an operation in place cannot reach the originals."""
    return pytree.tree_map_only(Tensor, lambda tensor: tensor.detach().clone(), arguments)


def max_absolute_error(expected: Any, actual: Any) -> float:
    """The largest difference between two outputs: equal infinities, and NaN beside NaN, count as no difference.

    Raises:
        RewriterError: The outputs have another structure or other shapes.
    """
    expected_tensors, actual_tensors = _tensors(expected), _tensors(actual)
    expected_shapes = [tuple(tensor.shape) for tensor in expected_tensors]
    actual_shapes = [tuple(tensor.shape) for tensor in actual_tensors]
    if expected_shapes != actual_shapes:
        raise RewriterError(f"the output has shape {_readable(actual_shapes)} instead of {_readable(expected_shapes)}")
    # A maximum over tensors, not over floats: torch.max keeps NaN, and the builtin drops it.
    errors = [_error(left, right) for left, right in zip(expected_tensors, actual_tensors, strict=True) if left.numel()]
    return float(torch.stack(errors).max()) if errors else 0.0


def size(outputs: Any) -> float:
    """The largest finite number of outputs, in magnitude."""
    return max((_largest_finite(tensor) for tensor in _tensors(outputs) if tensor.numel()), default=0.0)


def is_measurable() -> bool:
    """Tell whether tensors hold values now: while a network is exported they do not."""
    return not (torch.compiler.is_compiling() or torch.jit.is_tracing())  # type: ignore[attr-defined,no-untyped-call]


def _tensors(outputs: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)]


def _largest_finite(tensor: Tensor) -> float:
    if not tensor.is_complex():
        low, high = (float(end) for end in tensor.detach().aminmax())
        if math.isfinite(low) and math.isfinite(high):
            return max(-low, high)
    finite = tensor[tensor.isfinite()].abs()
    return float(finite.max()) if finite.numel() else 0.0


def _error(expected: Tensor, actual: Tensor) -> Tensor:
    if expected.dtype == actual.dtype and torch.equal(expected, actual):
        return torch.zeros((), dtype=torch.float64)
    left, right = expected.detach().double(), actual.detach().double()
    apart = (left - right).abs().max()
    if apart.isfinite():
        return apart
    same = (left == right) | (left.isnan() & right.isnan())
    return torch.where(same, 0.0, (left - right).abs()).max()


def _readable(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(str(list(shape)) for shape in shapes) or "no tensor"
