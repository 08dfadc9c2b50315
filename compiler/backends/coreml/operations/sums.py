"""Products of matrices, sums and what else goes over an axis, and normalisations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from compiler.backends.coreml.operations.elementwise import tensor
from compiler.backends.coreml.operations.shapes import Whole, whole


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A product with weights `[out, in]`."""
    return functional.linear(x, weight, bias)


def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """A product of matrices, either of which may be turned."""
    left, right = (x.transpose(-1, -2) if transpose_x else x), (y.transpose(-1, -2) if transpose_y else y)
    return torch.matmul(left, right)


def einsum(values: list[Tensor], equation: str) -> Tensor:
    """By Einstein's convention."""
    return torch.einsum(equation, *values)


def _reduction(reduce: Callable[[Tensor, list[int], bool], Tensor]) -> Callable[..., Tensor]:
    def run(x: Tensor, axes: Whole | None = None, keep_dims: bool = False) -> Tensor:
        values = tensor(x)
        return reduce(values, list(range(values.dim())) if axes is None else whole(axes), bool(keep_dims))

    return run


def reduce_argmax(x: Tensor, axis: int = -1, keep_dims: bool = False) -> Tensor:
    """Where the largest lies."""
    return x.argmax(int(axis), keepdim=bool(keep_dims))


def reduce_argmin(x: Tensor, axis: int = -1, keep_dims: bool = False) -> Tensor:
    """Where the smallest lies."""
    return x.argmin(int(axis), keepdim=bool(keep_dims))


def cumsum(x: Tensor, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Tensor:
    """Sums of all up to each; without it, or from the end."""
    turned = x.flip(int(axis)) if reverse else x
    found = turned.cumsum(int(axis)) - (turned if exclusive else 0)
    return found.flip(int(axis)) if reverse else found


def topk(
    x: Tensor,
    k: int = 1,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: str = "int32",
) -> tuple[Tensor, ...]:
    """The largest along an axis, or the smallest, and where they lie; of equal ones the first."""
    values, indices = x.sort(dim=int(axis), descending=not ascending, stable=True)
    count = int(tensor(k))
    found = values.narrow(int(axis), 0, count), indices.narrow(int(axis), 0, count)
    return found if return_indices else found[:1]


def argsort(x: Tensor, axis: int = -1, ascending: bool = False) -> Tensor:
    """Where the largest lies, or the smallest, then the next."""
    return x.argsort(dim=int(axis), descending=not ascending, stable=True)


def batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """By the mean and the variance of each channel."""
    return functional.batch_norm(x, mean, variance, gamma, beta, eps=float(epsilon))


def layer_norm(
    x: Tensor,
    axes: Whole | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """By the mean and the variance over axes."""
    over = list(range(x.dim())) if axes is None else whole(axes)
    centred = x - x.mean(over, keepdim=True)
    found = centred / torch.sqrt(centred.square().mean(over, keepdim=True) + float(epsilon))
    shape = [x.shape[axis] if axis in {one % x.dim() for one in over} else 1 for axis in range(x.dim())]
    found = found if gamma is None else found * gamma.reshape(shape)
    return found if beta is None else found + beta.reshape(shape)


def instance_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5) -> Tensor:
    """By the mean and the variance of each channel of each item."""
    return functional.instance_norm(x, weight=gamma, bias=beta, eps=float(epsilon))


SUMS: Mapping[str, Callable[..., Any]] = {
    **{
        function.__name__: function
        for function in (
            *(argsort, batch_norm, cumsum, einsum, instance_norm, layer_norm, linear, matmul),
            *(reduce_argmax, reduce_argmin, topk),
        )
    },
    "reduce_l2_norm": _reduction(lambda x, axes, keep: x.square().sum(axes, keepdim=keep).sqrt()),
    "reduce_log_sum_exp": _reduction(lambda x, axes, keep: x.logsumexp(axes, keepdim=keep)),
    "reduce_max": _reduction(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
    "reduce_mean": _reduction(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
    "reduce_min": _reduction(lambda x, axes, keep: x.amin(axes, keepdim=keep)),
    "reduce_sum": _reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
}
