"""Stacked hourglasses (arXiv:1603.06937), built of residual blocks as in CornerNet (arXiv:1808.01244)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from compiler.networks.backbones.resnet import BasicBlock, residual_layer
from compiler.networks.layers.conv import ConvModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STEM_CHANNELS = 128
_RELU = MappingProxyType({"type": "ReLU"})


class HourglassModule(nn.Module):
    """Halve the map, send it through a smaller hourglass, double it, and add what the full size gave.

    Takes and gives `[n, stage_channels[0], h, w]`, h and w multiples of `2**depth`.

    Args:
        depth: How often the map is halved.
        stage_channels: Channels at each size, full size first; one more than `depth`, further ones are not used.
        stage_blocks: Number of residual blocks at each size.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation is not supported.
    """

    def __init__(
        self, depth: int, stage_channels: Sequence[int], stage_blocks: Sequence[int], *, norm_cfg: Mapping[str, Any]
    ) -> None:
        super().__init__()
        channels, low_channels = stage_channels[:2]
        num_blocks, low_blocks = stage_blocks[:2]
        self.up1 = residual_layer(BasicBlock, channels, channels, num_blocks, norm_cfg=norm_cfg)
        self.low1 = residual_layer(BasicBlock, channels, low_channels, num_blocks, stride=2, norm_cfg=norm_cfg)
        self.low2: nn.Module
        if depth > 1:
            self.low2 = HourglassModule(depth - 1, stage_channels[1:], stage_blocks[1:], norm_cfg=norm_cfg)
        else:
            self.low2 = residual_layer(BasicBlock, low_channels, low_channels, low_blocks, norm_cfg=norm_cfg)
        # On the way up it is the last block, not the first, that changes the channels.
        self.low3 = nn.Sequential(
            *(BasicBlock(low_channels, low_channels, norm_cfg=norm_cfg) for _ in range(num_blocks - 1)),
            *residual_layer(BasicBlock, low_channels, channels, 1, norm_cfg=norm_cfg),
        )
        self.up2 = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both paths of `x`."""
        low = self.low3(self.low2(self.low1(x)))
        merged: Tensor = self.up1(x) + self.up2(low)
        return merged


class HourglassNet(nn.Module):
    """A stem that divides height and width by 4, then hourglasses, each of which refines what the one before gave.

    Takes `[n, 3, h, w]`, h and w multiples of `2**(downsample_times + 2)`, and gives one `[n, feat_channel, h / 4,
    w / 4]` for each hourglass.

    Args:
        downsample_times: How often an hourglass halves its input.
        num_stacks: Number of hourglasses: one is Hourglass-52, two are Hourglass-104.
        stage_channels: As in `HourglassModule`.
        stage_blocks: As in `HourglassModule`.
        feat_channel: Channels of the feature maps that are given.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: There is no hourglass, `stage_channels` and `stage_blocks` do not fit each other or
            `downsample_times`, or the normalisation is not supported.
    """

    def __init__(
        self,
        downsample_times: int = 5,
        num_stacks: int = 2,
        stage_channels: Sequence[int] = (256, 256, 384, 384, 384, 512),
        stage_blocks: Sequence[int] = (2, 2, 2, 2, 2, 4),
        feat_channel: int = 256,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN"}),
    ) -> None:
        super().__init__()
        if num_stacks < 1:
            raise ValueError(f"num_stacks must be at least 1, not {num_stacks}")
        if not downsample_times < len(stage_channels) == len(stage_blocks):
            raise ValueError(
                f"downsample_times {downsample_times} needs more stage_channels and as many stage_blocks as those, "
                f"not {len(stage_channels)} and {len(stage_blocks)}"
            )
        channels = stage_channels[0]
        between = range(num_stacks - 1)
        self.stem = nn.Sequential(
            ConvModule(3, _STEM_CHANNELS, 7, stride=2, padding=3, norm_cfg=norm_cfg, act_cfg=_RELU),
            residual_layer(BasicBlock, _STEM_CHANNELS, channels, 1, stride=2, norm_cfg=norm_cfg),
        )
        self.hourglass_modules = nn.ModuleList(
            HourglassModule(downsample_times, stage_channels, stage_blocks, norm_cfg=norm_cfg)
            for _ in range(num_stacks)
        )
        # A single hourglass has a block here, too: it is not used, but OpenMMLab's checkpoints hold it.
        self.inters = residual_layer(BasicBlock, channels, channels, max(num_stacks - 1, 1), norm_cfg=norm_cfg)
        self.conv1x1s = nn.ModuleList(ConvModule(channels, channels, 1, norm_cfg=norm_cfg) for _ in between)
        self.out_convs = nn.ModuleList(
            ConvModule(channels, feat_channel, 3, padding=1, norm_cfg=norm_cfg, act_cfg=_RELU)
            for _ in range(num_stacks)
        )
        self.remap_convs = nn.ModuleList(ConvModule(feat_channel, channels, 1, norm_cfg=norm_cfg) for _ in between)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The feature map of `x` after each hourglass."""
        x = self.stem(x)
        outputs = [self.out_convs[0](self.hourglass_modules[0](x))]
        refinements = zip(
            self.conv1x1s, self.remap_convs, self.inters, self.hourglass_modules[1:], self.out_convs[1:], strict=False
        )
        for conv1x1, remap, inter, hourglass, out_conv in refinements:
            x = inter(self.relu(conv1x1(x) + remap(outputs[-1])))
            outputs.append(out_conv(hourglass(x)))
        return tuple(outputs)
