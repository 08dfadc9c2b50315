"""Heads that give a heat map for each key point (arXiv:1804.06208, arXiv:1602.00134)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from compiler.networks.layers.deconv import deconv_layers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_POINTWISE = MappingProxyType({"kernel_size": 1})


class HeatmapHead(nn.Module):
    """Transposed convolutions that enlarge the map, convolutions, and a last one to a channel for each key point.

    Takes feature maps, of which the last, `[n, in_channels, h, w]`, is used. Gives one `[n, out_channels, h', w']`,
    h and w doubled by each transposed convolution: the scores of the key points at each pixel of the map.

    Args:
        in_channels: Channels of the feature map.
        out_channels: Number of key points.
        deconv_out_channels: Channels that each transposed convolution gives; None for none.
        deconv_kernel_sizes: Side of the square kernel of each: 2, 3 or 4.
        conv_out_channels: Channels that each convolution gives; None for none.
        conv_kernel_sizes: Odd side of the square kernel of each.
        final_layer: What `torch.nn.Conv2d` takes beside the channels.

    Raises:
        ValueError: There is not one kernel size for each layer, or one is not supported.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        deconv_out_channels: Sequence[int] | None = (256, 256, 256),
        deconv_kernel_sizes: Sequence[int] | None = (4, 4, 4),
        conv_out_channels: Sequence[int] | None = None,
        conv_kernel_sizes: Sequence[int] | None = None,
        final_layer: Mapping[str, Any] = _POINTWISE,
    ) -> None:
        super().__init__()
        self.deconv_layers = _deconv_layers(in_channels, deconv_out_channels, deconv_kernel_sizes)
        in_channels = deconv_out_channels[-1] if deconv_out_channels else in_channels
        self.conv_layers = _conv_layers(in_channels, conv_out_channels or (), conv_kernel_sizes or ())
        in_channels = conv_out_channels[-1] if conv_out_channels else in_channels
        self.final_layer = nn.Conv2d(in_channels, out_channels, **final_layer)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor]:
        """The heat maps of the last of `features`."""
        return (self.final_layer(self.conv_layers(self.deconv_layers(features[-1]))),)


class CPMHead(nn.Module):
    """For each stage of a backbone, transposed convolutions and one to a channel for each key point.

    Takes one feature map for each stage, `[n, in_channels, h, w]`, and gives heat maps for each, `[n, out_channels,
    h', w']`, as `HeatmapHead` does. The last stage's are the ones to decode.

    Args:
        in_channels: Channels of the feature maps.
        out_channels: Number of key points.
        num_stages: Number of feature maps.
        deconv_out_channels: As in `HeatmapHead`.
        deconv_kernel_sizes: As in `HeatmapHead`.
        final_layer: As in `HeatmapHead`.

    Raises:
        ValueError: There is not one kernel size for each layer, or one is not supported.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_stages: int,
        deconv_out_channels: Sequence[int] | None = None,
        deconv_kernel_sizes: Sequence[int] | None = None,
        final_layer: Mapping[str, Any] = _POINTWISE,
    ) -> None:
        super().__init__()
        stages = range(num_stages)
        self.multi_deconv_layers = nn.ModuleList(
            _deconv_layers(in_channels, deconv_out_channels, deconv_kernel_sizes) for _ in stages
        )
        in_channels = deconv_out_channels[-1] if deconv_out_channels else in_channels
        self.multi_final_layers = nn.ModuleList(nn.Conv2d(in_channels, out_channels, **final_layer) for _ in stages)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The heat maps of each of `features`."""
        stages = zip(features, self.multi_deconv_layers, self.multi_final_layers, strict=True)
        return tuple(final(deconv(feature)) for feature, deconv, final in stages)


def _deconv_layers(
    in_channels: int, out_channels: Sequence[int] | None, kernel_sizes: Sequence[int] | None
) -> nn.Module:
    # A config that wants none leaves the default kernel sizes as they are.
    return deconv_layers(in_channels, out_channels, kernel_sizes or ()) if out_channels else nn.Identity()


def _conv_layers(in_channels: int, out_channels: Sequence[int], kernel_sizes: Sequence[int]) -> nn.Sequential:
    """Convolutions that keep height and width, each with its normalisation and activation."""
    if len(out_channels) != len(kernel_sizes):
        raise ValueError(f"{len(out_channels)} convolutions need as many kernel sizes, not {len(kernel_sizes)}")
    layers: list[nn.Module] = []
    for channels, kernel_size in zip(out_channels, kernel_sizes, strict=True):
        layers += [
            nn.Conv2d(in_channels, channels, kernel_size, padding=(kernel_size - 1) // 2),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        ]
        in_channels = channels
    return nn.Sequential(*layers)
