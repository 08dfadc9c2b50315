"""The neck of PAN, the pixel aggregation network (arXiv:1908.05900), which OpenMMLab calls PANet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from compiler.networks.layers.pyramid import as_large_as_the_first, enlarge

if TYPE_CHECKING:
    from collections.abc import Sequence


class SeparableConv2d(nn.Sequential):
    """A 3x3 convolution of each channel alone, then one across channels at each pixel, normalised and activated.

    Takes `[n, channels, h, w]` and gives `[n, channels, h / stride, w / stride]`.

    Args:
        channels: Channels of the input and of the output.
        stride: Step of the first convolution.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.depthwise_conv = nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels)
        self.pointwise_conv = nn.Conv2d(channels, channels, 1)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()


class FPEM(nn.Module):
    """The feature pyramid enhancement module: carry what was found up to the finest map, and back down again.

    Takes and gives four feature maps, `[n, channels, ...]`, finest first, each twice as high and wide as the next.

    Args:
        channels: Channels of all maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.up_add1 = SeparableConv2d(channels, stride=1)
        self.up_add2 = SeparableConv2d(channels, stride=1)
        self.up_add3 = SeparableConv2d(channels, stride=1)
        self.down_add1 = SeparableConv2d(channels, stride=2)
        self.down_add2 = SeparableConv2d(channels, stride=2)
        self.down_add3 = SeparableConv2d(channels, stride=2)

    def forward(self, c2: Tensor, c3: Tensor, c4: Tensor, c5: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The four maps, enhanced."""
        c4 = self.up_add1(enlarge(c5) + c4)
        c3 = self.up_add2(enlarge(c4) + c3)
        c2 = self.up_add3(enlarge(c3) + c2)
        # A map is added at the size of the finer one, and both are halved together.
        c3 = self.down_add1(enlarge(c3) + c2)
        c4 = self.down_add2(enlarge(c4) + c3)
        c5 = self.down_add3(enlarge(c5) + c4)
        return c2, c3, c4, c5


class FPEM_FFM(nn.Module):  # noqa: N801 -- the name that OpenMMLab's configs know it by
    """Enhance a pyramid several times over, add up what comes out each time, and enlarge all maps to the finest's size.

    Takes four feature maps, finest first, each twice as high and wide as the next. Gives four maps,
    `[n, conv_out, h, w]`, of the size of the finest.

    Args:
        in_channels: Channels of the four maps.
        conv_out: Channels of every output.
        fpem_repeat: Number of enhancement modules, at least one.
    """

    def __init__(self, in_channels: Sequence[int], conv_out: int = 128, fpem_repeat: int = 2) -> None:
        super().__init__()
        c2, c3, c4, c5 = in_channels
        self.reduce_conv_c2 = _reduction(c2, conv_out)
        self.reduce_conv_c3 = _reduction(c3, conv_out)
        self.reduce_conv_c4 = _reduction(c4, conv_out)
        self.reduce_conv_c5 = _reduction(c5, conv_out)
        self.fpems = nn.ModuleList(FPEM(conv_out) for _ in range(fpem_repeat))

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The enhanced maps of `features`."""
        reductions = (self.reduce_conv_c2, self.reduce_conv_c3, self.reduce_conv_c4, self.reduce_conv_c5)
        maps = tuple(reduce(feature) for reduce, feature in zip(reductions, features, strict=True))
        maps = summed = self.fpems[0](*maps)
        for fpem in self.fpems[1:]:
            maps = fpem(*maps)
            summed = tuple(total + feature for total, feature in zip(summed, maps, strict=True))
        return tuple(as_large_as_the_first(summed, mode="bilinear"))


def _reduction(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels), nn.ReLU())
