"""What the backbones made of cross-stage partial layers have in common (CSPNet, arXiv:1911.11929)."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
        """The stage with its channels and its blocks scaled."""
        return replace(
            self,
            in_channels=int(self.in_channels * widen_factor),
            out_channels=int(self.out_channels * widen_factor),
            num_blocks=max(round(self.num_blocks * deepen_factor), 1),
        )


def csp_stages(arch: str, middle_blocks: int, widen_factor: float, deepen_factor: float) -> tuple[StageSpec, ...]:
    """The scaled stages of an architecture.

    Args:
        arch: `P5`, of four stages, or `P6`, of five.
        middle_blocks: Blocks of the second and of the third stage, before they are scaled.
        widen_factor: Scales the number of channels.
        deepen_factor: Scales the number of blocks.

    Raises:
        ValueError: There is no such architecture.
    """
    first = (StageSpec(64, 128, 3), StageSpec(128, 256, middle_blocks), StageSpec(256, 512, middle_blocks))
    architectures = {
        "P5": (*first, StageSpec(512, 1024, 3, add_identity=False, use_spp=True)),
        "P6": (*first, StageSpec(512, 768, 3), StageSpec(768, 1024, 3, add_identity=False, use_spp=True)),
    }
    if arch not in architectures:
        raise ValueError(f"arch {arch!r} is not supported, only {', '.join(architectures)}")
    return tuple(stage.scaled(widen_factor, deepen_factor) for stage in architectures[arch])


class CSPBackbone(nn.Module):
    """A stem and several stages: a convolution that halves height and width, spatial pyramid pooling, a `CSPLayer`.

    Takes `[n, 3, h, w]`; the output of stage i, `[n, c, h / 2**(i + 1), w / 2**(i + 1)]`, is given for each i in
    `out_indices`, where 0 is the stem.

    Args:
        stem: Halves height and width.
        stages: What follows it, one after the other.
        out_indices: Which outputs are given.
        spp_kernel_sizes: As `kernel_sizes` in `SPPBottleneck`.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.
        csp: Further arguments of `CSPLayer`.

    Raises:
        ValueError: An index, the normalisation or the activation is not supported.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[StageSpec],
        out_indices: Sequence[int],
        spp_kernel_sizes: Sequence[int],
        *,
        norm_cfg: Mapping[str, Any],
        act_cfg: Mapping[str, Any],
        **csp: Any,
    ) -> None:
        super().__init__()
        if not set(out_indices) <= set(range(len(stages) + 1)):
            raise ValueError(f"out_indices {tuple(out_indices)} must lie between 0 and {len(stages)}")
        self.out_indices = tuple(out_indices)
        common: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.stem = stem
        self.layers = ["stem"]
        for number, spec in enumerate(stages, start=1):
            channels = spec.out_channels
            layers: list[nn.Module] = [ConvModule(spec.in_channels, channels, 3, stride=2, padding=1, **common)]
            if spec.use_spp:
                layers.append(SPPBottleneck(channels, channels, spp_kernel_sizes, **common))
            layers.append(
                CSPLayer(
                    channels, channels, num_blocks=spec.num_blocks, add_identity=spec.add_identity, **common, **csp
                )
            )
            self.layers.append(f"stage{number}")
            self.add_module(self.layers[-1], nn.Sequential(*layers))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The feature maps of `x` at `out_indices`, finest first."""
        outputs = []
        for index, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)
