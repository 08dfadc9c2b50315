"""ResNet, the residual network (arXiv:1512.03385), and the blocks that it lends to other backbones."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from compiler.networks.layers.conv import build_norm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_BASIC = MappingProxyType({18: (2, 2, 2, 2), 34: (3, 4, 6, 3)})
_BOTTLENECK = MappingProxyType({50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)})
_STEM_CHANNELS = 64
_STYLES = ("pytorch", "caffe")
_PLAIN_NORM = MappingProxyType({"type": "BN"})


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
        """Return the sum of `x` and its transform, activated."""
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
    ) -> None:
        super().__init__()
        _check_style(style)
        channels = out_channels // self.expansion
        strides = (1, stride) if style == "pytorch" else (stride, 1)
        self.conv1 = nn.Conv2d(in_channels, channels, 1, strides[0], bias=False)
        self.bn1 = build_norm(norm_cfg, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, strides[1], padding=1, bias=False)
        self.bn2 = build_norm(norm_cfg, channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = build_norm(norm_cfg, out_channels)
        self.relu = nn.ReLU()
        self.downsample = nn.Identity() if downsample is None else downsample

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of `x` and its transform, activated."""
        transformed = self.relu(self.bn1(self.conv1(x)))
        transformed = self.relu(self.bn2(self.conv2(transformed)))
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
) -> nn.Sequential:
    """Return `num_blocks` blocks, of which the first changes the shape.

    Args:
        block: `BasicBlock`, `Bottleneck`, or what takes the same arguments.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        num_blocks: Number of blocks, at least one.
        stride: Step of the first block.
        downsample: Of the first block. Where it is None and the shape changes, a 1x1 convolution and a normalisation.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation is not supported.
    """
    if downsample is None and (stride != 1 or in_channels != out_channels):
        downsample = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), build_norm(norm_cfg, out_channels)
        )
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
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The depth, the number of stages, an index, the style or the normalisation is not supported.
    """

    def __init__(
        self,
        depth: int,
        num_stages: int = 4,
        out_indices: Sequence[int] = (3,),
        style: str = "pytorch",
        *,
        norm_cfg: Mapping[str, Any] = _PLAIN_NORM,
    ) -> None:
        super().__init__()
        _check_style(style)
        num_blocks = {**_BASIC, **_BOTTLENECK}
        if depth not in num_blocks:
            raise ValueError(f"depth {depth} is not supported, only {', '.join(map(str, num_blocks))}")
        _check_stages(num_stages, out_indices)
        self.out_indices = tuple(out_indices)
        block: Callable[..., nn.Module] = BasicBlock if depth in _BASIC else partial(Bottleneck, style=style)
        expansion = BasicBlock.expansion if depth in _BASIC else Bottleneck.expansion

        self.conv1 = nn.Conv2d(3, _STEM_CHANNELS, 7, stride=2, padding=3, bias=False)
        self.bn1 = build_norm(norm_cfg, _STEM_CHANNELS)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layers: list[str] = []
        in_channels = _STEM_CHANNELS
        for index in range(num_stages):
            out_channels = _STEM_CHANNELS * expansion * 2**index
            stride = 1 if index == 0 else 2
            layer = residual_layer(
                block, in_channels, out_channels, num_blocks[depth][index], stride, norm_cfg=norm_cfg
            )
            self.layers.append(f"layer{index + 1}")
            self.add_module(self.layers[-1], layer)
            in_channels = out_channels

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps of `x` at `out_indices`, finest first."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        outputs = []
        for index, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)


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
