"""Operations that move numbers, and compute none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from compiler.backends.coreml.operations.elementwise import tensor

Whole = Tensor | Sequence[int] | int


def whole(values: Any) -> list[int]:
    """Whole numbers, of a constant or of a tensor that was computed."""
    return [int(value) for value in tensor(values).reshape(-1)] if not isinstance(values, list) else values


def flags(values: Any, count: int) -> list[bool]:
    """Yes or no for each axis; no where nothing is said."""
    return [False] * count if values is None else [bool(value) for value in tensor(values).reshape(-1)]


def reshape(x: Tensor, shape: Whole) -> Tensor:
    """In another shape: -1 is what is left, and 0 is as long as before."""
    return x.reshape([x.shape[axis] if side == 0 else side for axis, side in enumerate(whole(shape))])


def transpose(x: Tensor, perm: Whole) -> Tensor:
    """With its axes in another order."""
    return x.permute(whole(perm))


def expand_dims(x: Tensor, axes: Whole) -> Tensor:
    """With axes of one."""
    x, places = tensor(x), whole(axes)
    rank = x.dim() + len(places)
    for axis in sorted(place % rank for place in places):
        x = x.unsqueeze(axis)
    return x


def squeeze(x: Tensor, axes: Whole | None = None) -> Tensor:
    """Without axes of one."""
    return x.squeeze() if axes is None else x.squeeze(tuple(whole(axes)))


def concat(values: list[Tensor], axis: int, interleave: bool = False) -> Tensor:
    """One behind the other along an axis; interleaved, by turns."""
    parts = [tensor(value) for value in values]
    return torch.stack(parts, axis + 1).flatten(axis, axis + 1) if interleave else torch.cat(parts, axis)


def stack(values: list[Tensor], axis: int) -> Tensor:
    """Along an axis of its own."""
    return torch.stack([tensor(value) for value in values], axis)


def split(x: Tensor, axis: int, num_splits: int | None = None, split_sizes: Whole | None = None) -> tuple[Tensor, ...]:
    """Cut along an axis, into as many equal parts or into parts of these lengths."""
    if split_sizes is not None:
        return torch.split_with_sizes(x, whole(split_sizes), axis)
    assert num_splits is not None
    return torch.chunk(x, int(num_splits), axis)


def slice_by_index(
    x: Tensor,
    begin: Whole,
    end: Whole,
    stride: Whole | None = None,
    begin_mask: Any = None,
    end_mask: Any = None,
    squeeze_mask: Any = None,
) -> Tensor:
    """From an index to another along each axis; where a mask says so, from the first or to the last, or one alone."""
    first, last, rank = whole(begin), whole(end), x.dim()
    steps = [1] * rank if stride is None else whole(stride)
    from_first, to_last = flags(begin_mask, rank), flags(end_mask, rank)
    single = flags(squeeze_mask, rank)
    for axis in range(rank):
        if single[axis]:
            chosen = range(x.shape[axis])[first[axis] : (first[axis] + 1) or None]
        else:
            bounds = None if from_first[axis] else first[axis], None if to_last[axis] else last[axis]
            chosen = range(x.shape[axis])[slice(*bounds, steps[axis])]
        x = x.index_select(axis, torch.tensor(chosen, dtype=torch.long))
    return x.squeeze([axis for axis in range(rank) if single[axis]]) if any(single) else x


def slice_by_size(x: Tensor, begin: Whole, size: Whole) -> Tensor:
    """As many from an index along each axis; -1 is all that are left."""
    for axis, (first, length) in enumerate(zip(whole(begin), whole(size), strict=True)):
        x = x.narrow(axis, first % x.shape[axis], x.shape[axis] - first % x.shape[axis] if length == -1 else length)
    return x


def tile(x: Tensor, reps: Whole) -> Tensor:
    """Repeated along each axis."""
    return x.repeat(whole(reps))


def pad(x: Tensor, pad: Whole, mode: str = "constant", constant_val: float = 0.0) -> Tensor:
    """With more at both ends of its last axes."""
    lengths = whole(pad)
    pairs = list(zip(lengths[::2], lengths[1::2], strict=True))
    while len(pairs) > 1 and mode != "constant" and pairs[0] == (0, 0):
        pairs.pop(0)  # torch reflects and repeats along the last axes alone
    flat = [length for pair in reversed(pairs) for length in pair]
    if mode == "constant":
        return functional.pad(x, flat, value=constant_val)
    return functional.pad(x, flat, "reflect" if mode == "reflect" else "replicate")


def crop(x: Tensor, crop_height: Whole, crop_width: Whole) -> Tensor:
    """With less at both ends of its last two axes."""
    (top, bottom), (left, right) = whole(crop_height), whole(crop_width)
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def gather(x: Tensor, indices: Tensor, axis: int = 0, batch_dims: int = 0, validate_indices: bool = False) -> Tensor:
    """What lies at indices along an axis; those below zero count from the end."""
    x, places = tensor(x), tensor(indices)
    axis = axis % x.dim()
    if batch_dims:
        rows = [gather(one, place, axis - 1, batch_dims - 1) for one, place in zip(x, places, strict=True)]
        return torch.stack(rows)
    found = x.index_select(axis, _from_start(places.reshape(-1), x.shape[axis]))
    return found.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


def gather_along_axis(x: Tensor, indices: Tensor, axis: int = 0, validate_indices: bool = False) -> Tensor:
    """What lies at an index of its own along an axis, at each place."""
    return x.gather(axis, _from_start(indices, x.shape[axis]))


def gather_nd(x: Tensor, indices: Tensor, batch_dims: int = 0, validate_indices: bool = False) -> Tensor:
    """What lies at tuples of indices."""
    if batch_dims:
        return torch.stack([gather_nd(one, place, batch_dims - 1) for one, place in zip(x, indices, strict=True)])
    return x[tuple(indices.unbind(-1))]


def scatter_nd(
    data: Tensor, indices: Tensor, updates: Tensor, mode: str = "add", validate_indices: bool = False
) -> Tensor:
    """With others at tuples of indices, or with what is added there."""
    if mode not in ("add", "update"):
        raise NotImplementedError(f"scatter_nd by {mode}")
    return data.index_put(tuple(indices.unbind(-1)), tensor(updates).to(data.dtype), accumulate=mode == "add")


def scatter_along_axis(
    data: Tensor, indices: Tensor, updates: Tensor, axis: int = 0, mode: str = "add", validate_indices: bool = False
) -> Tensor:
    """With others at an index of its own along an axis, or with what is added there."""
    if mode not in ("add", "update"):
        raise NotImplementedError(f"scatter_along_axis by {mode}")
    places = _from_start(indices, data.shape[axis])
    return data.scatter_add(axis, places, updates) if mode == "add" else data.scatter(axis, places, updates)


def shape(x: Tensor) -> Tensor:
    """How long it is along each axis."""
    return torch.tensor(x.shape)


def fill(shape: Whole, value: float = 0.0) -> Tensor:
    """A tensor of one number."""
    number = tensor(value).reshape(())
    return number.expand(whole(shape)).clone()


def fill_like(ref_tensor: Tensor, value: float = 0.0) -> Tensor:
    """A tensor of one number, in the shape of another."""
    return fill(list(ref_tensor.shape), value)


def range_1d(start: Any, end: Any, step: Any) -> Tensor:
    """Numbers from one to another, without it."""
    bounds = [tensor(bound).reshape(()).item() for bound in (start, end, step)]
    return torch.arange(*bounds)


def reverse(x: Tensor, axes: Whole | None = None) -> Tensor:
    """From the last to the first."""
    return x.flip(list(range(x.dim())) if axes is None else whole(axes))


def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """Channels laid beside each other."""
    return functional.pixel_shuffle(x, int(upscale_factor))


def _from_start(indices: Tensor, length: int) -> Tensor:
    """Indices, of which those below zero count from the end."""
    places = indices.long()
    return torch.where(places < 0, places + length, places)


SHAPES: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        *(concat, crop, expand_dims, fill, fill_like, gather, gather_along_axis, gather_nd, pad, pixel_shuffle),
        *(range_1d, reshape, reverse, scatter_along_axis, scatter_nd, shape, slice_by_index, slice_by_size, split),
        *(squeeze, stack, tile, transpose),
    )
}
