"""The cross-stage partial layers of CSPDarknet (YOLOX, arXiv:2107.08430) and CSPNeXt (RTMDet, arXiv:2212.07784)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compiler.networks.layers.conv import ConvModule, DepthwiseSeparableConvModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ChannelAttention(nn.Module):
    """Weigh each channel by a gate computed from its mean over the image.

    Takes and gives `[n, channels, h, w]`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.global_avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Conv2d(channels, channels, 1)
        self.act = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """The channels of `x`, each scaled by its gate, which lies in [0, 1]."""
        gate: Tensor = self.act(self.fc(self.global_avgpool(x)))
        return x * gate


class SPPBottleneck(nn.Module):
    """Spatial pyramid pooling: the input beside its maxima over windows of several sizes (arXiv:1406.4729).

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h, w]`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_sizes: Odd sides of the windows, in pixels of the feature map.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_sizes: Sequence[int] = (5, 9, 13),
        norm_cfg: Mapping[str, Any] | None = None,
        act_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        hidden_channels = in_channels // 2
        pyramid_channels = hidden_channels * (1 + len(kernel_sizes))
        self.conv1 = ConvModule(in_channels, hidden_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.poolings = nn.ModuleList(nn.MaxPool2d(size, stride=1, padding=size // 2) for size in kernel_sizes)
        self.conv2 = ConvModule(pyramid_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """The fused pyramid of `x`."""
        reduced = self.conv1(x)
        pyramid = torch.cat([reduced, *(pooling(reduced) for pooling in self.poolings)], dim=1)
        fused: Tensor = self.conv2(pyramid)
        return fused


class Bottleneck(nn.Module):
    """Two convolutions, around which the input may pass.

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h, w]`.

    Args:
        conv1: Gives the hidden channels.
        conv2: Gives the output's.
        add_identity: Add the input to the output.
    """

    def __init__(self, conv1: nn.Module, conv2: nn.Module, *, add_identity: bool) -> None:
        super().__init__()
        self.conv1 = conv1
        self.conv2 = conv2
        self.add_identity = add_identity

    def forward(self, x: Tensor) -> Tensor:
        """The residual, or the plain, transform of `x`."""
        transformed: Tensor = self.conv2(self.conv1(x))
        return x + transformed if self.add_identity else transformed


class DarknetBottleneck(Bottleneck):
    """A 1x1 convolution, then a 3x3 one: the block of YOLOX (arXiv:2107.08430).

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h, w]`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        expansion: Channels between the two convolutions, as a fraction of `out_channels`.
        add_identity: Add the input to the output, where they have the same number of channels.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: float = 0.5,
        *,
        add_identity: bool = True,
        norm_cfg: Mapping[str, Any] | None = None,
        act_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        hidden_channels = int(out_channels * expansion)
        super().__init__(
            ConvModule(in_channels, hidden_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg),
            ConvModule(hidden_channels, out_channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg),
            add_identity=add_identity and in_channels == out_channels,
        )


class CSPNeXtBlock(Bottleneck):
    """A 3x3 convolution, then a depthwise separable one with a large kernel: the block of RTMDet.

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h, w]`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        expansion: Channels between the two convolutions, as a fraction of `out_channels`.
        add_identity: Add the input to the output, where they have the same number of channels.
        kernel_size: Odd side of the depthwise kernel.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: float = 0.5,
        *,
        add_identity: bool = True,
        kernel_size: int = 5,
        norm_cfg: Mapping[str, Any] | None = None,
        act_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        common: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        hidden_channels = int(out_channels * expansion)
        super().__init__(
            ConvModule(in_channels, hidden_channels, 3, padding=1, **common),
            DepthwiseSeparableConvModule(
                hidden_channels, out_channels, kernel_size, padding=kernel_size // 2, **common
            ),
            add_identity=add_identity and in_channels == out_channels,
        )


class CSPLayer(nn.Module):
    """Split the channels, send one part through `num_blocks` blocks, and fuse the two (CSPNet, arXiv:1911.11929).

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h, w]`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        expand_ratio: Channels of each part, as a fraction of `out_channels`.
        num_blocks: Number of blocks.
        block: `CSPNeXtBlock` or `DarknetBottleneck`.
        add_identity: Add each block's input to its output.
        channel_attention: Weigh the channels of the two parts before they are fused.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expand_ratio: float = 0.5,
        num_blocks: int = 1,
        *,
        block: type[CSPNeXtBlock | DarknetBottleneck] = CSPNeXtBlock,
        add_identity: bool = True,
        channel_attention: bool = False,
        norm_cfg: Mapping[str, Any] | None = None,
        act_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        channels = int(out_channels * expand_ratio)
        self.main_conv = ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.short_conv = ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.final_conv = ConvModule(2 * channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.blocks = nn.Sequential(
            *(
                block(channels, channels, 1.0, add_identity=add_identity, norm_cfg=norm_cfg, act_cfg=act_cfg)
                for _ in range(num_blocks)
            )
        )
        self.attention = ChannelAttention(2 * channels) if channel_attention else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """The fused parts of `x`."""
        parts = torch.cat([self.blocks(self.main_conv(x)), self.short_conv(x)], dim=1)
        fused: Tensor = self.final_conv(self.attention(parts))
        return fused
