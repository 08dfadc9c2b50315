"""The neck of SECOND and PointPillars (arXiv:1812.05784), which brings feature maps to one size."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compiler.networks.layers.conv import build_norm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class SECONDFPN(nn.Module):
    """Enlarge or reduce each feature map by a convolution of its own, and join them.

    Takes feature maps, and gives one, `[n, sum(out_channels), h, w]`, as a tuple.

    Args:
        in_channels: Channels of each map.
        out_channels: Channels that each is given.
        upsample_strides: By which each map's height and width are multiplied; 0.5 halves them.
        norm_cfg: As in `build_norm`.
        use_conv_for_no_stride: Whether a map that keeps its size passes a convolution, or a transposed one.

    Raises:
        ValueError: The maps are not as many everywhere, or the normalisation is not supported.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (128, 128, 256),
        out_channels: Sequence[int] = (256, 256, 256),
        upsample_strides: Sequence[float] = (1, 2, 4),
        *,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN", "eps": 1e-3, "momentum": 0.01}),
        use_conv_for_no_stride: bool = False,
    ) -> None:
        super().__init__()
        self.deblocks = nn.ModuleList()
        for channels, width, stride in zip(in_channels, out_channels, upsample_strides, strict=True):
            transposed = stride > 1 or (stride == 1 and not use_conv_for_no_stride)
            resampling = _enlarging(channels, width, stride) if transposed else _reducing(channels, width, stride)
            self.deblocks.append(nn.Sequential(resampling, build_norm(norm_cfg, width), nn.ReLU()))

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor]:
        """The joined feature maps."""
        resampled = [deblock(feature) for deblock, feature in zip(self.deblocks, features, strict=True)]
        return (torch.cat(resampled, dim=1),)


# The kernels are as large as their steps, so that each pixel is used once.


def _enlarging(in_channels: int, out_channels: int, stride: float) -> nn.ConvTranspose2d:
    """A convolution that multiplies height and width by a whole number."""
    return nn.ConvTranspose2d(in_channels, out_channels, int(stride), int(stride), bias=False)


def _reducing(in_channels: int, out_channels: int, stride: float) -> nn.Conv2d:
    """A convolution that divides height and width by a whole number, the inverse of `stride`."""
    step = round(1 / stride)
    return nn.Conv2d(in_channels, out_channels, step, step, bias=False)
