"""MSPN, a cascade of hourglass-like stages that hand their features on to each other (arXiv:1901.00148)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn import functional as F

from compiler.networks.backbones.resnet import Bottleneck, residual_layer
from compiler.networks.layers.conv import ConvModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STEM_CHANNELS = 64
_RELU = MappingProxyType({"type": "ReLU"})


def _level_channels(level: int) -> int:
    """The channels of the `level`-th map that a stage makes on its way down, counted from the finest, 0."""
    channels: int = _STEM_CHANNELS * Bottleneck.expansion * 2**level
    return channels


class ResNetTop(nn.Module):
    """The stem of a ResNet. Takes `[n, 3, h, w]` and gives `[n, 64, h / 4, w / 4]`."""

    def __init__(self, norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        self.top = nn.Sequential(
            ConvModule(3, _STEM_CHANNELS, 7, stride=2, padding=3, norm_cfg=norm_cfg, act_cfg=_RELU),
            nn.MaxPool2d(3, stride=2, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The features of the images `x`."""
        features: Tensor = self.top(x)
        return features


class DownsampleModule(nn.Module):
    """The way down: the stages of a ResNet, each but the first of which halves height and width.

    Takes `[n, 64, h, w]` and gives one map for each of `num_blocks`: of level i, `[n, 256 * 2**i, h / 2**i, w / 2**i]`.

    Args:
        num_blocks: Number of bottlenecks that lead to each level.
        norm_cfg: As in `ConvModule`.
    """

    def __init__(self, num_blocks: Sequence[int], norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        in_channels = _STEM_CHANNELS
        self.layers: list[str] = []
        for level, count in enumerate(num_blocks):
            channels = _level_channels(level)
            stride = 1 if level == 0 else 2
            shortcut = ConvModule(in_channels, channels, 1, stride, norm_cfg=norm_cfg)
            self.layers.append(f"layer{level + 1}")
            layer = residual_layer(Bottleneck, in_channels, channels, count, stride, shortcut, norm_cfg)
            self.add_module(self.layers[-1], layer)
            in_channels = channels

    def forward(self, x: Tensor, skips: Sequence[Sequence[Tensor]]) -> list[Tensor]:
        """The levels of `x`, finest first, to each of which its `skips` are added."""
        levels = []
        for name, level_skips in zip(self.layers, skips, strict=True):
            x = getattr(self, name)(x)
            for skip in level_skips:
                x = x + skip
            levels.append(x)
        return levels


class UpsampleUnit(nn.Module):
    """One step up: a level from the way down, to which the output of the step before, twice enlarged, is added.

    Takes `[n, in_channels, h, w]` and `[n, unit_channels, h / 2, w / 2]` and gives `[n, unit_channels, h, w]`.

    Args:
        in_channels: Channels of the level.
        unit_channels: Channels of the output.
        is_coarsest: There is no step before.
        has_skips: The next stage needs what `skips` gives.
        has_cross: The next stage takes the output of `cross_conv`, `[n, 64, h, w]`, as its input.
        norm_cfg: As in `ConvModule`.
    """

    def __init__(
        self,
        in_channels: int,
        unit_channels: int,
        *,
        is_coarsest: bool,
        has_skips: bool,
        has_cross: bool,
        norm_cfg: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.in_skip = ConvModule(in_channels, unit_channels, 1, norm_cfg=norm_cfg)
        self.relu = nn.ReLU()
        if not is_coarsest:
            self.up_conv = ConvModule(unit_channels, unit_channels, 1, norm_cfg=norm_cfg)
        if has_skips:
            self.out_skip1 = ConvModule(in_channels, in_channels, 1, norm_cfg=norm_cfg, act_cfg=_RELU)
            self.out_skip2 = ConvModule(unit_channels, in_channels, 1, norm_cfg=norm_cfg, act_cfg=_RELU)
        if has_cross:
            self.cross_conv = ConvModule(unit_channels, _STEM_CHANNELS, 1, norm_cfg=norm_cfg, act_cfg=_RELU)

    def forward(self, level: Tensor, coarser: Tensor | None) -> Tensor:
        """The sum of `level` and `coarser`, the output of the step before, activated."""
        total = self.in_skip(level)
        if coarser is not None:
            enlarged = F.interpolate(coarser, scale_factor=2, mode="bilinear", align_corners=True)
            total = total + self.up_conv(enlarged)
        activated: Tensor = self.relu(total)
        return activated

    def skips(self, level: Tensor, output: Tensor) -> tuple[Tensor, Tensor]:
        """What the next stage adds to its own map at this level: two maps of the shape of `level`."""
        return self.out_skip1(level), self.out_skip2(output)


class UpsampleModule(nn.Module):
    """The way up, from the coarsest level to the finest.

    Args:
        unit_channels: Channels of each output.
        num_units: Number of levels.
        has_next: Another stage follows.
        norm_cfg: As in `ConvModule`.
    """

    def __init__(self, unit_channels: int, num_units: int, *, has_next: bool, norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        self.units: list[str] = []
        for index in range(num_units):
            unit = UpsampleUnit(
                _level_channels(num_units - 1 - index),
                unit_channels,
                is_coarsest=index == 0,
                has_skips=has_next,
                has_cross=has_next and index == num_units - 1,
                norm_cfg=norm_cfg,
            )
            self.units.append(f"up{index + 1}")
            self.add_module(self.units[-1], unit)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """An output for each of `levels`, which come finest first; the outputs come coarsest first."""
        outputs: list[Tensor] = []
        for name, level in zip(self.units, reversed(levels), strict=True):
            outputs.append(getattr(self, name)(level, outputs[-1] if outputs else None))
        return outputs

    def hand_over(
        self, levels: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """The next stage's input, and the skips to its levels, finest first."""
        units = [getattr(self, name) for name in self.units]
        skips = [unit.skips(*maps) for unit, *maps in zip(units, reversed(levels), outputs, strict=True)]
        return units[-1].cross_conv(outputs[-1]), skips[::-1]


class SingleStageNetwork(nn.Module):
    """A way down and a way up, whose arguments it takes."""

    def __init__(
        self, unit_channels: int, num_blocks: Sequence[int], *, has_next: bool, norm_cfg: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.has_next = has_next
        self.downsample = DownsampleModule(num_blocks, norm_cfg)
        self.upsample = UpsampleModule(unit_channels, len(num_blocks), has_next=has_next, norm_cfg=norm_cfg)

    def forward(
        self, x: Tensor, skips: Sequence[Sequence[Tensor]]
    ) -> tuple[list[Tensor], tuple[Tensor, Sequence[Sequence[Tensor]]] | None]:
        """The maps of `x`, coarsest first, and what the next stage takes: None where none follows."""
        levels = self.downsample(x, skips)
        outputs = self.upsample(levels)
        return outputs, self.upsample.hand_over(levels, outputs) if self.has_next else None


class MSPN(nn.Module):
    """A stem and `num_stages` stages, each of which looks at the features of the one before again.

    Takes `[n, 3, h, w]`, where h and w are multiples of `2**(num_units + 1)`. Gives a list for each stage: its maps,
    coarsest first, of which the i-th from the end is `[n, unit_channels, h / 2**(i + 1), w / 2**(i + 1)]`.

    Args:
        unit_channels: Channels of every map that is given.
        num_stages: Number of stages.
        num_units: Number of levels in a stage.
        num_blocks: Number of bottlenecks that lead to each level.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: There is no stage, there are less than two levels, `num_blocks` does not have one number for each,
            or the normalisation is not supported.
    """

    def __init__(
        self,
        unit_channels: int = 256,
        num_stages: int = 4,
        num_units: int = 4,
        num_blocks: Sequence[int] = (2, 2, 2, 2),
        *,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN"}),
    ) -> None:
        super().__init__()
        if num_stages < 1 or num_units < 2:
            raise ValueError(f"num_stages {num_stages} must be at least 1, and num_units {num_units} at least 2")
        if len(num_blocks) != num_units:
            raise ValueError(f"num_blocks {list(num_blocks)} must hold one number for each of {num_units} units")
        self.num_units = num_units
        self.top = ResNetTop(norm_cfg)
        self.multi_stage_mspn = nn.ModuleList(
            SingleStageNetwork(unit_channels, num_blocks, has_next=number < num_stages, norm_cfg=norm_cfg)
            for number in range(1, num_stages + 1)
        )

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """The maps of the images `x`, by stage."""
        handed = self.top(x), [()] * self.num_units
        outputs = []
        for stage in self.multi_stage_mspn:
            maps, handed = stage(*handed)
            outputs.append(maps)
        return outputs
