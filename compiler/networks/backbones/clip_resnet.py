"""The ResNet of CLIP (arXiv:2103.00020), which oCLIP (arXiv:2203.03911) trains on text in images."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from compiler.networks.backbones.resnet import Bottleneck, ResNet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PLAIN_NORM = MappingProxyType({"type": "BN"})


class CLIPBottleneck(Bottleneck):
    """A bottleneck that shrinks its input by averaging, after the 3x3 convolution, where another has a stride.

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h / stride, w / stride]`; the arguments are those of
    `Bottleneck`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        **options: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, downsample=downsample, **options)
        if stride > 1:
            self.pool = nn.AvgPool2d(stride)


class CLIPResNet(ResNet):
    """A ResNet with three 3x3 convolutions in its stem that shrinks by averaging only, never by skipping pixels.

    Takes `[n, 3, h, w]`, h and w multiples of 32; the output of stage i, `[n, 256 * 2**i, h / 2**(i + 2),
    w / 2**(i + 2)]`, is given for each i in `out_indices`.

    Args:
        depth: 50, 101 or 152.
        num_stages: Number of stages, from 1 to 4.
        out_indices: Which outputs are given.
        style: Without effect: it moves a stride, and no convolution after the stem has one.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The depth, the number of stages, an index, the style or the normalisation is not supported.
    """

    _bottleneck: ClassVar[type[Bottleneck]] = CLIPBottleneck

    def __init__(
        self,
        depth: int = 50,
        num_stages: int = 4,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        style: str = "pytorch",
        *,
        norm_cfg: Mapping[str, Any] = _PLAIN_NORM,
    ) -> None:
        if depth < 50:
            raise ValueError(f"depth {depth} is not supported: below 50 there is no bottleneck")
        super().__init__(depth, num_stages, out_indices, style, deep_stem=True, avg_down=True, norm_cfg=norm_cfg)
        self.maxpool = nn.AvgPool2d(2)
