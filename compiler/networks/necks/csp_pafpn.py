"""Path aggregation networks of cross-stage partial layers: the necks of RTMDet and YOLOX."""

from __future__ import annotations

from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compiler.networks.layers.conv import ConvModule
from compiler.networks.layers.csp import CSPLayer, CSPNeXtBlock, DarknetBottleneck

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class CSPPAFPN(nn.Module):
    """Fuse feature maps from the coarsest to the finest, then back (PANet, arXiv:1803.01534).

    Takes feature maps, finest first, each half as high and as wide as the one before it; gives as many of the same
    sizes, with `out_channels` channels each.

    Args:
        in_channels: Channels of each feature map.
        out_channels: Channels of every output.
        num_csp_blocks: Blocks of each `CSPLayer`.
        out_kernel_size: Odd side of the kernels that give the outputs.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.
        csp: Further arguments of `CSPLayer`.

    Raises:
        ValueError: The normalisation or the activation is not supported.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_csp_blocks: int,
        out_kernel_size: int,
        *,
        norm_cfg: Mapping[str, Any],
        act_cfg: Mapping[str, Any],
        **csp: Any,
    ) -> None:
        super().__init__()
        common: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        csp = {"num_blocks": num_csp_blocks, "add_identity": False, **common, **csp}
        steps = list(pairwise(in_channels))
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.reduce_layers = nn.ModuleList(ConvModule(coarse, fine, 1, **common) for fine, coarse in reversed(steps))
        self.top_down_blocks = nn.ModuleList(CSPLayer(2 * fine, fine, **csp) for fine, _ in reversed(steps))
        self.downsamples = nn.ModuleList(ConvModule(fine, fine, 3, stride=2, padding=1, **common) for fine, _ in steps)
        self.bottom_up_blocks = nn.ModuleList(CSPLayer(2 * fine, coarse, **csp) for fine, coarse in steps)
        self.out_convs = nn.ModuleList(
            ConvModule(channels, out_channels, out_kernel_size, padding=out_kernel_size // 2, **common)
            for channels in in_channels
        )

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The fused `features`, finest first."""
        *finer, top = features
        reduced = []
        for feature, reduce, block in zip(reversed(finer), self.reduce_layers, self.top_down_blocks, strict=True):
            reduced.append(reduce(top))
            top = block(torch.cat([self.upsample(reduced[-1]), feature], dim=1))
        fused = [top]
        for feature, downsample, block in zip(reversed(reduced), self.downsamples, self.bottom_up_blocks, strict=True):
            fused.append(block(torch.cat([downsample(fused[-1]), feature], dim=1)))
        return tuple(conv(feature) for conv, feature in zip(self.out_convs, fused, strict=True))


class CSPNeXtPAFPN(CSPPAFPN):
    """A path aggregation network of `CSPNeXtBlock`s, the neck of RTMDet (arXiv:2212.07784).

    Takes feature maps, finest first, each half as high and as wide as the one before it; gives as many of the same
    sizes, with `out_channels` channels each.

    Args:
        in_channels: Channels of each feature map.
        out_channels: Channels of every output.
        num_csp_blocks: Blocks of each `CSPLayer`.
        expand_ratio: As in `CSPLayer`.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation or the activation is not supported.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_csp_blocks: int = 3,
        *,
        expand_ratio: float = 0.5,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN", "momentum": 0.03, "eps": 0.001}),
        act_cfg: Mapping[str, Any] = MappingProxyType({"type": "Swish"}),
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            num_csp_blocks,
            out_kernel_size=3,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            block=CSPNeXtBlock,
            expand_ratio=expand_ratio,
        )


class YOLOXPAFPN(CSPPAFPN):
    """A path aggregation network of `DarknetBottleneck`s, the neck of YOLOX (arXiv:2107.08430).

    Takes feature maps, finest first, each half as high and as wide as the one before it; gives as many of the same
    sizes, with `out_channels` channels each.

    Args:
        in_channels: Channels of each feature map.
        out_channels: Channels of every output.
        num_csp_blocks: Blocks of each `CSPLayer`.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation or the activation is not supported.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_csp_blocks: int = 3,
        *,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN", "momentum": 0.03, "eps": 0.001}),
        act_cfg: Mapping[str, Any] = MappingProxyType({"type": "Swish"}),
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            num_csp_blocks,
            out_kernel_size=1,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            block=DarknetBottleneck,
        )
