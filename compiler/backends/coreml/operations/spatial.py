"""Convolutions, pools and what resizes: operations that look at neighbours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from compiler.backends.coreml.operations.shapes import Whole, whole

CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
AVERAGE_POOLS = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
ALIGNED = ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS")


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Whole | None = None,
    pad_type: str = "valid",
    pad: Whole | None = None,
    dilations: Whole | None = None,
    groups: int = 1,
) -> Tensor:
    """A convolution over any number of axes."""
    rank = x.dim() - 2
    steps, spread = _each(strides, rank), _each(dilations, rank)
    reach = [gap * (side - 1) + 1 for gap, side in zip(spread, weight.shape[2:], strict=True)]
    padded = functional.pad(x, _padding(x, reach, steps, pad_type, pad))
    return CONVOLUTIONS[rank](padded, weight, bias, steps, 0, spread, int(groups))


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pad: Whole | None = None,
    output_shape: Whole | None = None,
    pad_type: str = "valid",
    strides: Whole | None = None,
    dilations: Whole | None = None,
    groups: int = 1,
) -> Tensor:
    """A convolution turned round: what it would be without padding, cut at both ends to the shape that is asked for."""
    rank = x.dim() - 2
    if pad_type not in ("valid", "custom"):
        raise NotImplementedError(f"conv_transpose with the padding {pad_type}")
    steps, spread = _each(strides, rank), _each(dilations, rank)
    full: Tensor = TRANSPOSED[rank](x, weight, None, steps, 0, 0, int(groups), spread)
    ends = whole(pad) if pad is not None and pad_type == "custom" else [0] * (2 * rank)
    wanted = (
        whole(output_shape)[2:]
        if output_shape is not None
        else [side - before - after for side, before, after in zip(full.shape[2:], ends[::2], ends[1::2], strict=True)]
    )
    for axis, (before, length) in enumerate(zip(ends[::2], wanted, strict=True), start=2):
        kept = full.narrow(axis, before, min(length, full.shape[axis] - before))
        missing = length - kept.shape[axis]
        full = functional.pad(kept, [*[0, 0] * (full.dim() - 1 - axis), 0, missing])
    return full if bias is None else full + bias.reshape(1, -1, *[1] * rank)


def max_pool(
    x: Tensor,
    kernel_sizes: Whole,
    strides: Whole | None = None,
    pad_type: str = "valid",
    pad: Whole | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest in each window."""
    sides = whole(kernel_sizes)
    rank = len(sides)
    steps = _each(strides, rank)
    ends = _padding(x, sides, steps, pad_type, pad)
    if ceil_mode:
        ends = _up_to_whole_windows(x, sides, steps, ends)
    padded = functional.pad(x, ends, value=-torch.inf)
    return MAX_POOLS[rank](padded, sides, steps)


def avg_pool(
    x: Tensor,
    kernel_sizes: Whole,
    strides: Whole | None = None,
    pad_type: str = "valid",
    pad: Whole | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    """The mean of each window, of what lies inside alone where the padding does not count."""
    sides = whole(kernel_sizes)
    rank = len(sides)
    steps = _each(strides, rank)
    ends = _padding(x, sides, steps, pad_type, pad)
    counted = functional.pad(torch.ones_like(x), ends, value=0.0 if exclude_padding_from_average else 1.0)
    if ceil_mode:
        whole_ends = _up_to_whole_windows(x, sides, steps, ends)
        counted = functional.pad(counted, [more - end for more, end in zip(whole_ends, ends, strict=True)])
        ends = whole_ends
    mean = AVERAGE_POOLS[rank]
    share: Tensor = mean(counted, sides, steps)
    total: Tensor = mean(functional.pad(x, ends), sides, steps)
    return total / share


def upsample_nearest_neighbor(x: Tensor, scale_factor_height: float = 1, scale_factor_width: float = 1) -> Tensor:
    """Larger by factors, each number repeated."""
    return functional.interpolate(x, scale_factor=(float(scale_factor_height), float(scale_factor_width)))


def upsample_bilinear(
    x: Tensor,
    scale_factor_height: float = 1,
    scale_factor_width: float = 1,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Tensor:
    """Larger by factors, along lines between numbers."""
    if not align_corners and half_pixel_centers is False:
        raise NotImplementedError("upsample_bilinear from corners that are not aligned")
    factors = float(scale_factor_height), float(scale_factor_width)
    size = [int(side * factor) for side, factor in zip(x.shape[-2:], factors, strict=True)]
    return functional.interpolate(x, size, mode="bilinear", align_corners=bool(align_corners))


def resize_nearest_neighbor(x: Tensor, target_size_height: int, target_size_width: int) -> Tensor:
    """In another size, by the nearest number."""
    return functional.interpolate(x, (int(target_size_height), int(target_size_width)))


def resize_bilinear(
    x: Tensor, target_size_height: int = 1, target_size_width: int = 1, sampling_mode: str = "DEFAULT"
) -> Tensor:
    """In another size, along lines between numbers."""
    return _resized(x, (int(target_size_height), int(target_size_width)), "LINEAR", sampling_mode)


def resize(
    x: Tensor, shape: Whole, resized_dims: int, interpolation_mode: str = "LINEAR", sampling_mode: str = "DEFAULT"
) -> Tensor:
    """With its last sides in another size."""
    sides = whole(shape)[-int(resized_dims) :]
    size = tuple(x.shape[axis - len(sides)] if side == 0 else side for axis, side in enumerate(sides))
    return _resized(x, size, interpolation_mode, sampling_mode)


def _resized(x: Tensor, size: tuple[int, ...], interpolation: str, sampling: str) -> Tensor:
    if interpolation == "NEAREST_NEIGHBOR" and sampling == "DEFAULT":
        return functional.interpolate(x, size)
    if interpolation != "LINEAR" or sampling not in (*ALIGNED, "UNALIGN_CORNERS"):
        raise NotImplementedError(f"resize by {interpolation} with the sampling {sampling}")
    return functional.interpolate(x, size, mode="bilinear", align_corners=sampling in ALIGNED)


def _each(values: Whole | None, count: int) -> list[int]:
    """A number for each axis; one where nothing is said."""
    return [1] * count if values is None else whole(values)


def _padding(x: Tensor, reach: list[int], steps: list[int], pad_type: str, pad: Whole | None) -> list[int]:
    """How much is added before and after each axis, as torch takes it: the last axis first."""
    if pad_type == "custom":
        ends = whole(pad)
        pairs = list(zip(ends[::2], ends[1::2], strict=True))
    elif pad_type in ("same", "same_lower"):
        pairs = []
        for side, length, step in zip(x.shape[2:], reach, steps, strict=True):
            total = max((-(-side // step) - 1) * step + length - side, 0)
            less, more = total // 2, total - total // 2
            pairs.append((less, more) if pad_type == "same" else (more, less))
    else:
        pairs = [(0, 0)] * len(reach)
    return [end for pair in reversed(pairs) for end in pair]


def _up_to_whole_windows(x: Tensor, sides: list[int], steps: list[int], ends: list[int]) -> list[int]:
    """Padding with which the last window is whole, unless it would begin behind the input."""
    pairs = []
    for axis, (side, step) in enumerate(zip(sides, steps, strict=True)):
        before, after = ends[2 * (len(sides) - 1 - axis) : 2 * (len(sides) - axis)]
        length = x.shape[axis + 2]
        windows = -(-(length + before + after - side) // step) + 1
        if (windows - 1) * step >= length + before:
            windows -= 1
        pairs.append((before, max(after, (windows - 1) * step + side - length - before)))
    return [end for pair in reversed(pairs) for end in pair]


SPATIAL: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        *(avg_pool, conv, conv_transpose, max_pool, resize, resize_bilinear, resize_nearest_neighbor),
        *(upsample_bilinear, upsample_nearest_neighbor),
    )
}
