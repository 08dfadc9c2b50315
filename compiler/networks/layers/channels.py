"""Light blocks that work on half of the channels and then mix both halves (ShuffleNetV2, arXiv:1807.11164)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compiler.networks.layers.conv import ConvModule

if TYPE_CHECKING:
    from collections.abc import Mapping

_RELU = MappingProxyType({"type": "ReLU"})


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave groups of channels: the first of every group, then the second of every group, and so on.

    Args:
        x: `[n, c, h, w]`, c a multiple of `groups`.
        groups: Number of groups.

    Returns:
        `[n, c, h, w]`.
    """
    return torch.unflatten(x, 1, (groups, -1)).transpose(1, 2).flatten(1, 2)


class ShuffleUnit(nn.Module):
    """Convolve one half of the channels, keep the other, and shuffle both.

    Takes and gives `[n, channels, h, w]`.

    Args:
        channels: Even number of channels.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation is not supported.
    """

    def __init__(self, channels: int, norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        half = channels // 2
        self.branch2 = nn.Sequential(
            ConvModule(half, half, 1, norm_cfg=norm_cfg, act_cfg=_RELU),
            ConvModule(half, half, 3, padding=1, groups=half, norm_cfg=norm_cfg),
            ConvModule(half, half, 1, norm_cfg=norm_cfg, act_cfg=_RELU),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The shuffled `x`."""
        unchanged, convolved = x.chunk(2, dim=1)
        return channel_shuffle(torch.cat([unchanged, self.branch2(convolved)], dim=1), 2)
