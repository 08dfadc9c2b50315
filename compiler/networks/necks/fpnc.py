"""The necks of DBNet (arXiv:1911.08947) and DBNet++ (arXiv:2202.10304)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compiler.networks.layers.conv import ConvModule
from compiler.networks.layers.pyramid import as_large_as_the_first, enlarge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ScaleChannelSpatialAttention(nn.Module):
    """How much each of several feature maps counts at each pixel, seen from their channels, then from their pixels.

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h, w]`, from 0 to 1.

    Args:
        in_channels: Channels of all the maps together.
        c_wise_channels: Channels that those are narrowed to while the channels are weighed.
        out_channels: Number of maps.
    """

    def __init__(self, in_channels: int, c_wise_channels: int, out_channels: int) -> None:
        super().__init__()
        relu: dict[str, Any] = {"act_cfg": {"type": "ReLU"}, "bias": False}
        sigmoid: dict[str, Any] = {"act_cfg": {"type": "Sigmoid"}, "bias": False}
        self.channel_wise = nn.Sequential(
            ConvModule(in_channels, c_wise_channels, 1, **relu), ConvModule(c_wise_channels, in_channels, 1, **sigmoid)
        )
        self.spatial_wise = nn.Sequential(ConvModule(1, 1, 3, padding=1, **relu), ConvModule(1, 1, 1, **sigmoid))
        self.attention_wise = ConvModule(in_channels, out_channels, 1, **sigmoid)

    def forward(self, x: Tensor) -> Tensor:
        """The attention to each map of `x`."""
        x = x + self.channel_wise(x.mean((2, 3), keepdim=True))
        x = x + self.spatial_wise(x.mean(1, keepdim=True))
        attention: Tensor = self.attention_wise(x)
        return attention


class FPNC(nn.Module):
    """Add to each feature map what the coarser ones found, and concatenate all of them at the size of the finest.

    Takes feature maps, finest first, each twice as high and wide as the next. Gives one map of
    `len(in_channels) * out_channels` channels and the size of the finest.

    Args:
        in_channels: Channels of the maps.
        lateral_channels: Channels in which the maps are added.
        out_channels: Channels that each map contributes to the output.
        asf_cfg: `{"attention_type": "ScaleChannelSpatial"}` weighs the maps at each pixel before they are concatenated,
            as DBNet++ does; None does not.

    Raises:
        ValueError: The type of attention is not supported.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        lateral_channels: int = 256,
        out_channels: int = 64,
        asf_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(
            ConvModule(channels, lateral_channels, 1, bias=False) for channels in in_channels
        )
        self.smooth_convs = nn.ModuleList(
            ConvModule(lateral_channels, out_channels, 3, padding=1, bias=False) for _ in in_channels
        )
        self.weighs_maps = asf_cfg is not None
        if asf_cfg is not None:
            kind = asf_cfg.get("attention_type")
            if kind != "ScaleChannelSpatial":
                raise ValueError(f"attention_type {kind!r} is not supported, only ScaleChannelSpatial")
            channels = len(in_channels) * out_channels
            self.asf_conv = ConvModule(channels, channels, 3, padding=1)
            self.asf_attn = ScaleChannelSpatialAttention(channels, channels // 4, len(in_channels))

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor]:
        """The one map that `features` become."""
        merged: list[Tensor] = []
        for conv, feature in zip(reversed(self.lateral_convs), reversed(features), strict=True):
            lateral = conv(feature)
            merged.insert(0, lateral + enlarge(merged[0]) if merged else lateral)
        smooth = [conv(feature) for conv, feature in zip(self.smooth_convs, merged, strict=True)]
        maps = as_large_as_the_first(smooth)
        concatenated = torch.cat(maps, dim=1)
        if not self.weighs_maps:
            return (concatenated,)
        attention = self.asf_attn(self.asf_conv(concatenated)).chunk(len(maps), dim=1)
        return (torch.cat([weight * feature for weight, feature in zip(attention, maps, strict=True)], dim=1),)
