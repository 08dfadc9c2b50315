"""Conditional channel weighting, what Lite-HRNet has in place of 1x1 convolutions (arXiv:2104.06403)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compiler.networks.layers.channels import channel_shuffle
from compiler.networks.layers.conv import ConvModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RELU = MappingProxyType({"type": "ReLU"})
_SIGMOID = MappingProxyType({"type": "Sigmoid"})


class SpatialWeighting(nn.Module):
    """Weigh each channel by a gate computed from the means of all over the image.

    Takes and gives `[n, channels, h, w]`.

    Args:
        channels: Number of channels.
        ratio: How many times fewer channels the gates are computed from.
    """

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.global_avgpool = nn.AdaptiveAvgPool2d(1)
        self.conv1 = ConvModule(channels, channels // ratio, 1, act_cfg=_RELU)
        self.conv2 = ConvModule(channels // ratio, channels, 1, act_cfg=_SIGMOID)

    def forward(self, x: Tensor) -> Tensor:
        """The channels of `x`, each scaled by its gate."""
        gate: Tensor = self.conv2(self.conv1(self.global_avgpool(x)))
        return x * gate


class CrossResolutionWeighting(nn.Module):
    """Weigh each pixel of each channel by a gate computed from all branches at the size of the coarsest.

    Takes and gives a list of `[n, channels[i], h / 2**i, w / 2**i]`, h and w multiples of the coarsest's step.

    Args:
        channels: Channels of the branches, finest first.
        ratio: How many times fewer channels the gates are computed from.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation is not supported.
    """

    def __init__(self, channels: Sequence[int], ratio: int, norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        self.channels = list(channels)
        steps = [2**index for index in range(len(channels) - 1, 0, -1)]
        self.poolings = nn.ModuleList([*map(nn.AvgPool2d, steps), nn.Identity()])
        self.upsamplings = nn.ModuleList([*(nn.Upsample(scale_factor=step) for step in steps), nn.Identity()])
        total = sum(channels)
        self.conv1 = ConvModule(total, total // ratio, 1, norm_cfg=norm_cfg, act_cfg=_RELU)
        self.conv2 = ConvModule(total // ratio, total, 1, norm_cfg=norm_cfg, act_cfg=_SIGMOID)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The branches `features`, scaled by their gates."""
        pooled = [pooling(feature) for pooling, feature in zip(self.poolings, features, strict=True)]
        gates = self.conv2(self.conv1(torch.cat(pooled, dim=1))).split(self.channels, dim=1)
        return [
            feature * upsampling(gate)
            for feature, upsampling, gate in zip(features, self.upsamplings, gates, strict=True)
        ]


class ConditionalChannelWeighting(nn.Module):
    """Weigh and convolve one half of each branch's channels, keep the other, and shuffle both.

    Takes and gives a list of `[n, channels[i], h / 2**i, w / 2**i]`.

    Args:
        channels: Even numbers of channels of the branches, finest first.
        reduce_ratio: As `ratio` in `CrossResolutionWeighting`.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation is not supported.
    """

    def __init__(self, channels: Sequence[int], reduce_ratio: int, norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        halves = [width // 2 for width in channels]
        self.cross_resolution_weighting = CrossResolutionWeighting(halves, reduce_ratio, norm_cfg)
        self.depthwise_convs = nn.ModuleList(
            ConvModule(width, width, 3, padding=1, groups=width, norm_cfg=norm_cfg) for width in halves
        )
        self.spatial_weighting = nn.ModuleList(SpatialWeighting(width, ratio=4) for width in halves)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The shuffled branches."""
        unchanged, rest = zip(*(feature.chunk(2, dim=1) for feature in features), strict=True)
        weighted = self.cross_resolution_weighting(rest)
        weighted = [
            weighting(convolve(half))
            for half, convolve, weighting in zip(weighted, self.depthwise_convs, self.spatial_weighting, strict=True)
        ]
        return [channel_shuffle(torch.cat(halves, dim=1), 2) for halves in zip(unchanged, weighted, strict=True)]
