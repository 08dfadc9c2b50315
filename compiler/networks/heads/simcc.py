"""The head of SimCC (arXiv:2107.03332): key points as two one-dimensional classifications."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from compiler.networks.layers.deconv import deconv_layers

if TYPE_CHECKING:
    from collections.abc import Sequence


class SimCCHead(nn.Module):
    """Heat maps, with or without deconvolutions before them, and a linear layer for each axis on what they hold.

    Takes feature maps, of which the last, `[n, in_channels, h, w]`, is used. Gives `simcc_x`,
    `[n, out_channels, int(width * simcc_split_ratio)]`, and `simcc_y` likewise for the height: unnormalised scores
    of the key points' coordinates in bins of `1 / simcc_split_ratio` pixel.

    Args:
        in_channels: Channels of the feature map.
        out_channels: Number of key points.
        input_size: Width and height of the network's input, in pixels.
        in_featuremap_size: Width and height of the feature map.
        simcc_split_ratio: Bins per pixel.
        deconv_out_channels: Channels of each deconvolution, each of which doubles width and height; None for none.
        deconv_kernel_sizes: As `kernel_sizes` in `deconv_layers`.

    Raises:
        ValueError: There is not one kernel size for each deconvolution, or one is not supported.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        input_size: Sequence[int],
        in_featuremap_size: Sequence[int],
        *,
        simcc_split_ratio: float = 2.0,
        deconv_out_channels: Sequence[int] | None = (256, 256, 256),
        deconv_kernel_sizes: Sequence[int] = (4, 4, 4),
    ) -> None:
        super().__init__()
        width, height = input_size
        columns, rows = in_featuremap_size
        if deconv_out_channels:
            deconv = deconv_layers(in_channels, deconv_out_channels, deconv_kernel_sizes)
            final_layer = nn.Conv2d(deconv_out_channels[-1], out_channels, 1)
            self.deconv_head = nn.Sequential(OrderedDict(deconv_layers=deconv, final_layer=final_layer))
        else:
            self.final_layer = nn.Conv2d(in_channels, out_channels, 1)
        self.has_deconv = bool(deconv_out_channels)
        pixels = columns * rows * 4 ** len(deconv_out_channels or ())
        self.mlp_head_x = nn.Linear(pixels, int(width * simcc_split_ratio))
        self.mlp_head_y = nn.Linear(pixels, int(height * simcc_split_ratio))

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The `simcc_x` and `simcc_y` of the last of `features`."""
        heatmaps = self.deconv_head(features[-1]) if self.has_deconv else self.final_layer(features[-1])
        flattened = torch.flatten(heatmaps, start_dim=2)
        return self.mlp_head_x(flattened), self.mlp_head_y(flattened)
