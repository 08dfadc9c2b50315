"""CSPNeXt, the backbone of RTMDet and RTMPose (arXiv:2212.07784)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from compiler.networks.layers.conv import ConvModule
from compiler.networks.layers.csp import CSPLayer, SPPBottleneck

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class StageSpec:
    """One stage, at widen and deepen factors of 1. Every stage halves height and width."""

    in_channels: int
    out_channels: int
    num_blocks: int
    add_identity: bool = True
    use_spp: bool = False

    def scaled(self, widen_factor: float, deepen_factor: float) -> StageSpec:
        """Return the stage with its channels and its blocks scaled."""
        return StageSpec(
            int(self.in_channels * widen_factor),
            int(self.out_channels * widen_factor),
            max(round(self.num_blocks * deepen_factor), 1),
            self.add_identity,
            self.use_spp,
        )


_ARCHITECTURES = MappingProxyType(
    {
        "P5": (
            StageSpec(64, 128, 3),
            StageSpec(128, 256, 6),
            StageSpec(256, 512, 6),
            StageSpec(512, 1024, 3, add_identity=False, use_spp=True),
        ),
        "P6": (
            StageSpec(64, 128, 3),
            StageSpec(128, 256, 6),
            StageSpec(256, 512, 6),
            StageSpec(512, 768, 3),
            StageSpec(768, 1024, 3, add_identity=False, use_spp=True),
        ),
    }
)


def _stem(channels: float, norm_cfg: Mapping[str, Any], act_cfg: Mapping[str, Any]) -> nn.Sequential:
    """Return three convolutions that halve height and width and end in `channels` channels, rounded down."""
    common: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
    width, half = int(channels), int(channels // 2)
    return nn.Sequential(
        ConvModule(3, half, 3, stride=2, padding=1, **common),
        ConvModule(half, half, 3, padding=1, **common),
        ConvModule(half, width, 3, padding=1, **common),
    )


class CSPNeXt(nn.Module):
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
        super().__init__()
        if arch not in _ARCHITECTURES:
            raise ValueError(f"arch {arch!r} is not supported, only {', '.join(_ARCHITECTURES)}")
        stages = _ARCHITECTURES[arch]
        if not set(out_indices) <= set(range(len(stages) + 1)):
            raise ValueError(f"out_indices {tuple(out_indices)} must lie between 0 and {len(stages)}")
        self.out_indices = tuple(out_indices)
        common: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        csp: dict[str, Any] = {"expand_ratio": expand_ratio, "channel_attention": channel_attention, **common}
        self.stem = _stem(stages[0].in_channels * widen_factor, norm_cfg, act_cfg)
        self.layers = ["stem"]
        for number, stage in enumerate(stages, start=1):
            spec = stage.scaled(widen_factor, deepen_factor)
            channels = spec.out_channels
            layers: list[nn.Module] = [ConvModule(spec.in_channels, channels, 3, stride=2, padding=1, **common)]
            if spec.use_spp:
                layers.append(SPPBottleneck(channels, channels, spp_kernel_sizes, **common))
            layers.append(
                CSPLayer(channels, channels, num_blocks=spec.num_blocks, add_identity=spec.add_identity, **csp)
            )
            self.layers.append(f"stage{number}")
            self.add_module(self.layers[-1], nn.Sequential(*layers))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps of `x` at `out_indices`, finest first."""
        outputs = []
        for index, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)
