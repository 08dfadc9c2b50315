"""ResNet (arXiv:1512.03385), ResNeXt (arXiv:1611.05431), and the blocks that they lend to other backbones."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from compiler.networks.layers.conv import build_norm
from compiler.networks.layers.deform_conv import ModulatedDeformConv2d

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_BASIC = MappingProxyType({18: (2, 2, 2, 2), 34: (3, 4, 6, 3)})
_BOTTLENECK = MappingProxyType({50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)})
_BASE_CHANNELS = 64
_STYLES = ("pytorch", "caffe")
_PLAIN_NORM = MappingProxyType({"type": "BN"})
_DEFORMABLE = MappingProxyType({"type": "DCNv2", "deform_groups": 1, "fallback_on_stride": False})


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, to whose output the input is added.

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h / stride, w / stride]`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Step of the first convolution.
        downsample: Gives the input the shape of the output; None where it has that shape.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation is not supported.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        *,
        norm_cfg: Mapping[str, Any] = _PLAIN_NORM,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = build_norm(norm_cfg, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = build_norm(norm_cfg, out_channels)
        self.relu = nn.ReLU()
        self.downsample = nn.Identity() if downsample is None else downsample

    def forward(self, x: Tensor) -> Tensor:
        """The sum of `x` and its transform, activated."""
        transformed = self.relu(self.bn1(self.conv1(x)))
        transformed = self.bn2(self.conv2(transformed))
        activated: Tensor = self.relu(transformed + self.downsample(x))
        return activated


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1 convolutions that narrow and widen it, to whose output the input is added.

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h / stride, w / stride]`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, a multiple of four.
        stride: Step of one of the convolutions.
        downsample: Gives the input the shape of the output; None where it has that shape.
        style: The convolution that has the stride: `pytorch`, the 3x3 one; `caffe`, the first.
        norm_cfg: As in `ConvModule`.
        deformable: Whether the 3x3 convolution looks where it learned to, as `ModulatedDeformConv2d` does.
        groups: Of channels, which the 3x3 convolution keeps apart.
        base_width: Channels of one of several groups for each 64 that a single one would have.

    Raises:
        ValueError: The style or the normalisation is not supported.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        *,
        style: str = "pytorch",
        norm_cfg: Mapping[str, Any] = _PLAIN_NORM,
        deformable: bool = False,
        groups: int = 1,
        base_width: int = 4,
    ) -> None:
        super().__init__()
        _check_style(style)
        channels = out_channels // self.expansion
        if groups > 1:
            channels = channels * base_width // _BASE_CHANNELS * groups
        strides = (1, stride) if style == "pytorch" else (stride, 1)
        spatial = ModulatedDeformConv2d if deformable else partial(nn.Conv2d, groups=groups)
        self.conv1 = nn.Conv2d(in_channels, channels, 1, strides[0], bias=False)
        self.bn1 = build_norm(norm_cfg, channels)
        self.conv2 = spatial(channels, channels, 3, strides[1], padding=1, bias=False)
        self.bn2 = build_norm(norm_cfg, channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = build_norm(norm_cfg, out_channels)
        self.relu = nn.ReLU()
        self.pool: nn.Module = nn.Identity()
        self.downsample = nn.Identity() if downsample is None else downsample

    def forward(self, x: Tensor) -> Tensor:
        """The sum of `x` and its transform, activated."""
        transformed = self.relu(self.bn1(self.conv1(x)))
        transformed = self.pool(self.relu(self.bn2(self.conv2(transformed))))
        transformed = self.bn3(self.conv3(transformed))
        activated: Tensor = self.relu(transformed + self.downsample(x))
        return activated


def residual_layer(
    block: Callable[..., nn.Module],
    in_channels: int,
    out_channels: int,
    num_blocks: int,
    stride: int = 1,
    downsample: nn.Module | None = None,
    norm_cfg: Mapping[str, Any] = _PLAIN_NORM,
    *,
    avg_down: bool = False,
) -> nn.Sequential:
    """A layer of `num_blocks` blocks, of which the first changes the shape.

    Args:
        block: `BasicBlock`, `Bottleneck`, or what takes the same arguments.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        num_blocks: Number of blocks, at least one.
        stride: Step of the first block.
        downsample: Of the first block. Where it is None and the shape changes, a 1x1 convolution and a normalisation.
        norm_cfg: As in `ConvModule`.
        avg_down: Whether that convolution comes after the mean of `stride**2` pixels, rather than skips all but one.

    Raises:
        ValueError: The normalisation is not supported.
    """
    if downsample is None and (stride != 1 or in_channels != out_channels):
        pooling = [nn.AvgPool2d(stride) if stride > 1 else nn.Identity()] if avg_down else []
        projection = nn.Conv2d(in_channels, out_channels, 1, 1 if avg_down else stride, bias=False)
        downsample = nn.Sequential(*pooling, projection, build_norm(norm_cfg, out_channels))
    return nn.Sequential(
        block(in_channels, out_channels, stride, downsample, norm_cfg=norm_cfg),
        *(block(out_channels, out_channels, norm_cfg=norm_cfg) for _ in range(num_blocks - 1)),
    )


class ResNet(nn.Module):
    """A stem that divides height and width by 4, and up to four stages, each but the first of which halves them.

    Takes `[n, 3, h, w]`; the output of stage i, `[n, c * 2**i, h / 2**(i + 2), w / 2**(i + 2)]`, is given for each i
    in `out_indices`, where c is 64, or 256 from a depth of 50.

    Args:
        depth: 18, 34, 50, 101 or 152.
        num_stages: Number of stages, from 1 to 4.
        out_indices: Which outputs are given.
        style: As in `Bottleneck`; without effect on the depths that have none.
        stem_channels: Channels that the stem gives.
        deep_stem: Whether the stem has three 3x3 convolutions rather than a 7x7 one (ResNet-C, arXiv:1812.01187).
        avg_down: As in `residual_layer`.
        dcn: The deformable convolution to use, `{"type": "DCNv2"}`, or None for none.
        stage_with_dcn: For each stage, whether its 3x3 convolutions are deformable.
        groups: As in `Bottleneck`; more than one make a ResNeXt.
        base_width: As in `Bottleneck`.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The depth, the number of stages, an index, the style, the deformable convolution, the groups or
            the normalisation is not supported.
    """

    _bottleneck: ClassVar[type[Bottleneck]] = Bottleneck

    def __init__(
        self,
        depth: int,
        num_stages: int = 4,
        out_indices: Sequence[int] = (3,),
        style: str = "pytorch",
        *,
        stem_channels: int = _BASE_CHANNELS,
        deep_stem: bool = False,
        avg_down: bool = False,
        dcn: Mapping[str, Any] | None = None,
        stage_with_dcn: Sequence[bool] = (False, False, False, False),
        groups: int = 1,
        base_width: int = 4,
        norm_cfg: Mapping[str, Any] = _PLAIN_NORM,
    ) -> None:
        super().__init__()
        _check_style(style)
        num_blocks = {**_BASIC, **_BOTTLENECK}
        if depth not in num_blocks:
            raise ValueError(f"depth {depth} is not supported, only {', '.join(map(str, num_blocks))}")
        _check_stages(num_stages, out_indices)
        _check_deformable(dcn, depth)
        if groups > 1 and (depth in _BASIC or dcn is not None):
            raise ValueError("groups belong into a bottleneck whose convolutions are not deformable")
        self.out_indices = tuple(out_indices)
        self.deep_stem = deep_stem
        if deep_stem:
            self.stem = _three_convolutions(stem_channels, norm_cfg)
        else:
            self.conv1 = nn.Conv2d(3, stem_channels, 7, stride=2, padding=3, bias=False)
            self.bn1 = build_norm(norm_cfg, stem_channels)
            self.relu = nn.ReLU()
        self.maxpool: nn.Module = nn.MaxPool2d(3, stride=2, padding=1)
        self.layers: list[str] = []
        expansion = BasicBlock.expansion if depth in _BASIC else Bottleneck.expansion
        in_channels = stem_channels
        for index, count in enumerate(num_blocks[depth][:num_stages]):
            block: Callable[..., nn.Module] = BasicBlock
            if depth in _BOTTLENECK:
                deformable = dcn is not None and stage_with_dcn[index]
                block = partial(
                    self._bottleneck, style=style, deformable=deformable, groups=groups, base_width=base_width
                )
            out_channels = _BASE_CHANNELS * expansion * 2**index
            stride = 1 if index == 0 else 2
            layer = residual_layer(
                block, in_channels, out_channels, count, stride, norm_cfg=norm_cfg, avg_down=avg_down
            )
            self.layers.append(f"layer{index + 1}")
            self.add_module(self.layers[-1], layer)
            in_channels = out_channels

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The feature maps of `x` at `out_indices`, finest first."""
        x = self.maxpool(self.stem(x) if self.deep_stem else self.relu(self.bn1(self.conv1(x))))
        outputs = []
        for index, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)


def _three_convolutions(channels: int, norm_cfg: Mapping[str, Any]) -> nn.Sequential:
    """What divides height and width by 2 and makes `channels` channels out of 3, half as many at first."""
    layers: list[nn.Module] = []
    for before, after, stride in (
        (3, channels // 2, 2),
        (channels // 2, channels // 2, 1),
        (channels // 2, channels, 1),
    ):
        layers += [
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            build_norm(norm_cfg, after),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


def _check_style(style: str) -> None:
    """Raise a `ValueError` unless `style` is one of `Bottleneck`'s."""
    if style not in _STYLES:
        raise ValueError(f"style {style!r} is not supported, only {', '.join(_STYLES)}")


def _check_stages(num_stages: int, out_indices: Sequence[int]) -> None:
    """Raise a `ValueError` unless a `ResNet` can have so many stages, and they have these indices."""
    if num_stages not in range(1, 5):
        raise ValueError(f"num_stages {num_stages} must lie between 1 and 4")
    if not set(out_indices) <= set(range(num_stages)):
        raise ValueError(f"out_indices {tuple(out_indices)} must lie between 0 and {num_stages - 1}")


def _check_deformable(dcn: Mapping[str, Any] | None, depth: int) -> None:
    """Raise a `ValueError` unless a `ResNet` of this depth can have such deformable convolutions."""
    if dcn is None:
        return
    if {**_DEFORMABLE, **dcn} != _DEFORMABLE:
        raise ValueError(f"dcn {dict(dcn)} is not supported, only {dict(_DEFORMABLE)}")
    if depth in _BASIC:
        raise ValueError(f"dcn belongs into a bottleneck, and depth {depth} has none")
