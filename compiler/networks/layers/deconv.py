"""Transposed convolutions, which enlarge feature maps (Simple Baselines, arXiv:1804.06208)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

# Padding and output padding with which a kernel of each size, at a stride of 2, doubles height and width.
_PADDINGS = MappingProxyType({4: (1, 0), 3: (1, 1), 2: (0, 0)})


def deconv_layers(in_channels: int, out_channels: Sequence[int], kernel_sizes: Sequence[int]) -> nn.Sequential:
    """Transposed convolutions, each with its normalisation and activation, that each double height and width.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels that each layer gives.
        kernel_sizes: Side of each layer's square kernel: 2, 3 or 4.

    Raises:
        ValueError: There is not one kernel size for each layer, or one is not supported.
    """
    if len(out_channels) != len(kernel_sizes):
        raise ValueError(f"{len(out_channels)} deconvolutions need as many kernel sizes, not {len(kernel_sizes)}")
    layers: list[nn.Module] = []
    for channels, kernel_size in zip(out_channels, kernel_sizes, strict=True):
        if kernel_size not in _PADDINGS:
            supported = ", ".join(map(str, _PADDINGS))
            raise ValueError(f"a deconvolution's kernel size of {kernel_size} is not supported, only {supported}")
        padding, output_padding = _PADDINGS[kernel_size]
        layers += [
            nn.ConvTranspose2d(in_channels, channels, kernel_size, 2, padding, output_padding, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        ]
        in_channels = channels
    return nn.Sequential(*layers)
