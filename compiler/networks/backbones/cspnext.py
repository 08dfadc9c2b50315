"""CSPNeXt, the backbone of RTMDet and RTMPose (arXiv:2212.07784)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import nn

from compiler.networks.backbones.csp import CSPBackbone, csp_stages
from compiler.networks.layers.conv import ConvModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def _stem(channels: int, norm_cfg: Mapping[str, Any], act_cfg: Mapping[str, Any]) -> nn.Sequential:
    """Three convolutions that halve height and width and end in `channels` channels."""
    common: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
    half = channels // 2
    return nn.Sequential(
        ConvModule(3, half, 3, stride=2, padding=1, **common),
        ConvModule(half, half, 3, padding=1, **common),
        ConvModule(half, channels, 3, padding=1, **common),
    )


class CSPNeXt(CSPBackbone):
    """A stem and four (P5) or five (P6) stages of cross-stage partial layers.

    Takes `[n, 3, h, w]`; the output of stage i, `[n, c, h / 2**(i + 1), w / 2**(i + 1)]`, is given for each i in
    `out_indices`, where 0 is the stem.

    Args:
        arch: `P5` or `P6`.
        deepen_factor: Scales the number of blocks.
        widen_factor: Scales the number of channels.
        out_indices: Which outputs are given.
        expand_ratio: As in `CSPLayer`.
        spp_kernel_sizes: As `kernel_sizes` in `SPPBottleneck`.
        channel_attention: As in `CSPLayer`.
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
        expand_ratio: float = 0.5,
        spp_kernel_sizes: Sequence[int] = (5, 9, 13),
        channel_attention: bool = True,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN", "momentum": 0.03, "eps": 0.001}),
        act_cfg: Mapping[str, Any] = MappingProxyType({"type": "SiLU"}),
    ) -> None:
        stages = csp_stages(arch, 6, widen_factor, deepen_factor)
        super().__init__(
            _stem(stages[0].in_channels, norm_cfg, act_cfg),
            stages,
            out_indices,
            spp_kernel_sizes,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            expand_ratio=expand_ratio,
            channel_attention=channel_attention,
        )
