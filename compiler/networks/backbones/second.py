"""The part of SECOND (Sensors 18(10):3337, 2018) that looks at the ground from above, PointPillars' backbone."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from compiler.networks.layers.conv import build_norm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class SECOND(nn.Module):
    """Blocks of 3x3 convolutions, one after the other.

    Takes `[n, in_channels, h, w]` and gives a map for each block, `[n, c, h / s, w / s]`, s being the product of the
    strides up to it.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of each block.
        layer_nums: Convolutions of each block, after the first that has the stride.
        layer_strides: By which each block divides height and width.
        norm_cfg: As in `build_norm`.

    Raises:
        ValueError: The blocks are not as many everywhere, or the normalisation is not supported.
    """

    def __init__(
        self,
        in_channels: int = 128,
        out_channels: Sequence[int] = (128, 128, 256),
        layer_nums: Sequence[int] = (3, 5, 5),
        layer_strides: Sequence[int] = (2, 2, 2),
        *,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN", "eps": 1e-3, "momentum": 0.01}),
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for channels, layers, stride in zip(out_channels, layer_nums, layer_strides, strict=True):
            self.blocks.append(_block(in_channels, channels, layers, stride, norm_cfg))
            in_channels = channels

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The feature maps of `x`, finest first."""
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return tuple(outputs)


def _block(in_channels: int, out_channels: int, layers: int, stride: int, norm_cfg: Mapping[str, Any]) -> nn.Sequential:
    """A convolution with a stride and `layers` without, each with its normalisation and activation."""
    block = nn.Sequential()
    for index in range(layers + 1):
        first = index == 0
        channels, step = (in_channels, stride) if first else (out_channels, 1)
        block.append(nn.Conv2d(channels, out_channels, 3, step, padding=1, bias=False))
        block.append(build_norm(norm_cfg, out_channels))
        block.append(nn.ReLU())
    return block
