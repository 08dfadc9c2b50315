"""The head of RTMPose (arXiv:2303.07399): key points as two one-dimensional classifications."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compiler.networks.layers.attention import GatedAttentionUnit, ScaleNorm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class GatedAttentionConfig:
    """What `gau_cfg` holds; see `GatedAttentionUnit`.

    `dropout_rate` and `drop_path` act in training only: any value gives the same network here.
    """

    hidden_dims: int = 256
    s: int = 128
    expansion_factor: float = 2
    dropout_rate: float = 0.0
    drop_path: float = 0.0
    act_fn: str = "ReLU"
    use_rel_bias: bool = False
    pos_enc: bool = False


class RTMCCHead(nn.Module):
    """A large-kernel convolution, a projection of each key point's map to a token, and a gated attention unit.

    Takes feature maps, of which the last, `[n, in_channels, h, w]`, is used. Gives `simcc_x`,
    `[n, out_channels, int(width * simcc_split_ratio)]`, and `simcc_y` likewise for the height: unnormalised scores
    of the key points' coordinates in bins of `1 / simcc_split_ratio` pixel.

    Args:
        in_channels: Channels of the feature map.
        out_channels: Number of key points.
        input_size: Width and height of the network's input, in pixels.
        in_featuremap_size: Width and height of the feature map.
        simcc_split_ratio: Bins per pixel (SimCC, arXiv:2107.03332).
        final_layer_kernel_size: Odd side of the kernel of the convolution.
        gau_cfg: What `GatedAttentionConfig` takes.

    Raises:
        ValueError: An option in `gau_cfg` is unknown or not supported.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        input_size: Sequence[int],
        in_featuremap_size: Sequence[int],
        *,
        simcc_split_ratio: float = 2.0,
        final_layer_kernel_size: int = 1,
        gau_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        try:
            gau = GatedAttentionConfig(**(gau_cfg or {}))
        except TypeError as error:
            raise ValueError(f"gau_cfg: {error}") from error
        width, height = input_size
        columns, rows = in_featuremap_size
        padding = final_layer_kernel_size // 2
        self.final_layer = nn.Conv2d(in_channels, out_channels, final_layer_kernel_size, padding=padding)
        self.mlp = nn.Sequential(ScaleNorm(columns * rows), nn.Linear(columns * rows, gau.hidden_dims, bias=False))
        self.gau = GatedAttentionUnit(
            out_channels,
            gau.hidden_dims,
            gau.hidden_dims,
            expansion_factor=gau.expansion_factor,
            s=gau.s,
            act_fn=gau.act_fn,
            use_rel_bias=gau.use_rel_bias,
            pos_enc=gau.pos_enc,
        )
        self.cls_x = nn.Linear(gau.hidden_dims, int(width * simcc_split_ratio), bias=False)
        self.cls_y = nn.Linear(gau.hidden_dims, int(height * simcc_split_ratio), bias=False)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The `simcc_x` and `simcc_y` of the last of `features`."""
        heatmaps = self.final_layer(features[-1])
        tokens = self.gau(self.mlp(torch.flatten(heatmaps, start_dim=2)))
        return self.cls_x(tokens), self.cls_y(tokens)
