"""CSPDarknet, the backbone of YOLOX (arXiv:2107.08430)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compiler.networks.backbones.csp import CSPBackbone, csp_stages
from compiler.networks.layers.conv import ConvModule
from compiler.networks.layers.csp import DarknetBottleneck

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Focus(nn.Module):
    """Lay every square of 2x2 pixels into the channels of one pixel, then convolve.

    Takes `[n, in_channels, h, w]` with an even h and w, and gives `[n, out_channels, h / 2, w / 2]`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Odd side of the square kernel.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        norm_cfg: Mapping[str, Any] | None = None,
        act_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.conv = ConvModule(
            4 * in_channels, out_channels, kernel_size, padding=kernel_size // 2, norm_cfg=norm_cfg, act_cfg=act_cfg
        )

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of the squares of `x`, whose pixels are taken column by column."""
        top, bottom = x[..., ::2, :], x[..., 1::2, :]
        pixels = [top[..., ::2], bottom[..., ::2], top[..., 1::2], bottom[..., 1::2]]
        convolved: Tensor = self.conv(torch.cat(pixels, dim=1))
        return convolved


class CSPDarknet(CSPBackbone):
    """A `Focus` and four (P5) or five (P6) stages of cross-stage partial layers.

    Takes `[n, 3, h, w]`; the output of stage i, `[n, c, h / 2**(i + 1), w / 2**(i + 1)]`, is given for each i in
    `out_indices`, where 0 is the stem.

    Args:
        arch: `P5` or `P6`.
        deepen_factor: Scales the number of blocks.
        widen_factor: Scales the number of channels.
        out_indices: Which outputs are given.
        spp_kernal_sizes: As `kernel_sizes` in `SPPBottleneck`; spelt as OpenMMLab's configs spell it.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.

    Raises:
        ValueError: The architecture, an index, the normalisation or the activation is not supported.
    """

    def __init__(
        self,
        arch: str = "P5",
        deepen_factor: float = 1.0,
        widen_factor: float = 1.0,
        out_indices: Sequence[int] = (2, 3, 4),
        *,
        spp_kernal_sizes: Sequence[int] = (5, 9, 13),
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN", "momentum": 0.03, "eps": 0.001}),
        act_cfg: Mapping[str, Any] = MappingProxyType({"type": "Swish"}),
    ) -> None:
        stages = csp_stages(arch, 9, widen_factor, deepen_factor)
        super().__init__(
            Focus(3, stages[0].in_channels, 3, norm_cfg=norm_cfg, act_cfg=act_cfg),
            stages,
            out_indices,
            spp_kernal_sizes,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            block=DarknetBottleneck,
        )
