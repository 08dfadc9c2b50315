"""MobileNetV2, whose blocks widen inside and are narrow between each other (arXiv:1801.04381)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from compiler.networks.layers.conv import ConvModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class StageSpec:
    """One stage, at a widen factor of 1. `stride` is that of its first block."""

    expand_ratio: int
    channels: int
    num_blocks: int
    stride: int


_STAGES = (
    StageSpec(1, 16, 1, 1),
    StageSpec(6, 24, 2, 2),
    StageSpec(6, 32, 3, 2),
    StageSpec(6, 64, 4, 2),
    StageSpec(6, 96, 3, 1),
    StageSpec(6, 160, 3, 2),
    StageSpec(6, 320, 1, 1),
)
_STEM_CHANNELS = 32
_LAST_CHANNELS = 1280


def _scaled(channels: int, factor: float) -> int:
    """The multiple of eight that is nearest to `channels * factor` and not more than a tenth below it."""
    wanted = channels * factor
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


class InvertedResidual(nn.Sequential):
    """A depthwise 3x3 convolution between two 1x1 convolutions that widen and narrow it.

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h / stride, w / stride]`. Where these are the same
    shape, the input is added.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Step of the depthwise convolution.
        expand_ratio: Channels of the depthwise convolution, as a multiple of `in_channels`; 1 leaves out the first
            1x1 convolution.
        nested: Name the convolutions as MMPose does, `conv.0` and so on, and not as MMDetection does.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        expand_ratio: int,
        *,
        nested: bool,
        norm_cfg: Mapping[str, Any],
        act_cfg: Mapping[str, Any],
    ) -> None:
        channels = in_channels * expand_ratio
        common: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if expand_ratio != 1:
            layers["expand_conv"] = ConvModule(in_channels, channels, 1, **common)
        layers["depthwise_conv"] = ConvModule(channels, channels, 3, stride, padding=1, groups=channels, **common)
        layers["linear_conv"] = ConvModule(channels, out_channels, 1, norm_cfg=norm_cfg)
        super().__init__(OrderedDict(conv=nn.Sequential(*layers.values())) if nested else layers)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """The residual, or the plain, transform of `x`."""
        transformed = x
        for layer in self:
            transformed = layer(transformed)
        return x + transformed if self.shortcut else transformed


class MobileNetV2(nn.Module):
    """A stem, seven stages of inverted residuals and a last 1x1 convolution. Parameter names are MMPose's.

    Takes `[n, 3, h, w]`; the output of stage i, where 7 is the last convolution, is given for each i in `out_indices`.
    Its height and width are those of the image, divided by 2, 4, 8, 16, 16, 32, 32 and 32.

    Args:
        widen_factor: Scales the number of channels, which is then rounded to a multiple of eight; that of the last
            convolution is not rounded, and never falls below 1280.
        out_indices: Which outputs are given.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.

    Raises:
        ValueError: An index, the normalisation or the activation is not supported.
    """

    nested: ClassVar[bool] = True
    """As in `InvertedResidual`."""

    def __init__(
        self,
        widen_factor: float = 1.0,
        out_indices: Sequence[int] = (7,),
        *,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN"}),
        act_cfg: Mapping[str, Any] = MappingProxyType({"type": "ReLU6"}),
    ) -> None:
        super().__init__()
        if not set(out_indices) <= set(range(len(_STAGES) + 1)):
            raise ValueError(f"out_indices {tuple(out_indices)} must lie between 0 and {len(_STAGES)}")
        self.out_indices = tuple(out_indices)
        common: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        channels = _scaled(_STEM_CHANNELS, widen_factor)
        self.conv1 = ConvModule(3, channels, 3, stride=2, padding=1, **common)
        self.layers: list[str] = []
        for number, stage in enumerate(_STAGES, start=1):
            blocks = []
            for stride in (stage.stride, *[1] * (stage.num_blocks - 1)):
                in_channels, channels = channels, _scaled(stage.channels, widen_factor)
                block = InvertedResidual(
                    in_channels, channels, stride, stage.expand_ratio, nested=self.nested, **common
                )
                blocks.append(block)
            self.layers.append(f"layer{number}")
            self.add_module(self.layers[-1], nn.Sequential(*blocks))
        self.conv2 = ConvModule(channels, int(_LAST_CHANNELS * max(1.0, widen_factor)), 1, **common)
        self.layers.append("conv2")

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The feature maps of `x` at `out_indices`, finest first."""
        x = self.conv1(x)
        outputs = []
        for index, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)


class DetectionMobileNetV2(MobileNetV2):
    """`MobileNetV2` under MMDetection's parameter names, the only thing that differs."""

    nested = False
