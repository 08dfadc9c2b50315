"""The neck of PSENet (arXiv:1903.12473)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compiler.networks.layers.conv import ConvModule
from compiler.networks.layers.pyramid import as_large_as_the_first, enlarge

if TYPE_CHECKING:
    from collections.abc import Sequence

_FUSION_TYPES = ("concat", "add")


class FPNF(nn.Module):
    """Add to each feature map what the coarser ones found, and fuse all of them at the size of the finest.

    Takes feature maps, finest first, each twice as high and wide as the next. Gives one map of `out_channels` channels
    and the size of the finest.

    Args:
        in_channels: Channels of the maps.
        out_channels: Channels in which the maps are added, and of the output.
        fusion_type: How the maps become one before the last convolution: `concat` or `add`.

    Raises:
        ValueError: The type of fusion is not supported.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int = 256, fusion_type: str = "concat") -> None:
        super().__init__()
        if fusion_type not in _FUSION_TYPES:
            raise ValueError(f"fusion_type {fusion_type!r} is not supported, only {', '.join(_FUSION_TYPES)}")
        self.concatenates = fusion_type == "concat"
        common: dict[str, Any] = {"norm_cfg": {"type": "BN"}, "act_cfg": {"type": "ReLU"}}
        self.lateral_convs = nn.ModuleList(ConvModule(channels, out_channels, 1, **common) for channels in in_channels)
        self.fpn_convs = nn.ModuleList(
            ConvModule(out_channels, out_channels, 3, padding=1, **common) for _ in in_channels[1:]
        )
        fused_channels = out_channels * (len(in_channels) if self.concatenates else 1)
        self.output_convs = ConvModule(fused_channels, out_channels, 3, padding=1, **common)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor]:
        """The one map that `features` become."""
        merged = [conv(feature) for conv, feature in zip(self.lateral_convs, features, strict=True)]
        for level in reversed(range(len(self.fpn_convs))):
            merged[level] = self.fpn_convs[level](merged[level] + enlarge(merged[level + 1]))
        maps = as_large_as_the_first(merged)
        fused = torch.cat(maps, dim=1) if self.concatenates else torch.stack(maps).sum(dim=0)
        return (self.output_convs(fused),)
