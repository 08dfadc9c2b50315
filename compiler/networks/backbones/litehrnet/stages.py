"""The stages of Lite-HRNet (arXiv:2104.06403)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from compiler.networks.backbones.hrnet import fuse_layers
from compiler.networks.backbones.litehrnet.weighting import ConditionalChannelWeighting
from compiler.networks.layers.channels import ShuffleUnit
from compiler.networks.layers.conv import build_norm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MODULE_TYPES = ("LITE", "NAIVE")


@dataclass(frozen=True)
class StageSpec:
    """One stage: the entry at its place in each of the lists in `extra.stages_spec`, by whose names they go.

    Attributes:
        num_modules: Number of `LiteHRModule`s.
        num_branches: Number of resolutions, each half as fine as the one before it.
        num_blocks: Number of blocks of each module.
        module_type: `LITE`, blocks of conditional channel weighting, or `NAIVE`, shuffle units.
        with_fuse: Exchange between the branches after each module.
        reduce_ratios: How many times fewer channels the weights are computed from; without effect on `NAIVE`.
        num_channels: Even number of channels of each branch.

    Raises:
        ValueError: The type is not supported, or there is not one number of channels for each branch.
    """

    num_modules: int
    num_branches: int
    num_blocks: int
    module_type: str
    with_fuse: bool
    reduce_ratios: int
    num_channels: Sequence[int]

    def __post_init__(self) -> None:
        if self.module_type not in _MODULE_TYPES:
            raise ValueError(f"module_type {self.module_type!r} is not supported, only {', '.join(_MODULE_TYPES)}")
        if self.num_branches != len(self.num_channels):
            raise ValueError(f"{self.num_branches} branches need as many num_channels, not {len(self.num_channels)}")


def separable_convolution(
    in_channels: int, out_channels: int, stride: int, *, norm_cfg: Mapping[str, Any]
) -> list[nn.Module]:
    """A 3x3 convolution of each channel, a 1x1 one and their normalisations: Lite-HRNet's `Convolution`."""
    return [
        nn.Conv2d(in_channels, in_channels, 3, stride, padding=1, groups=in_channels, bias=False),
        build_norm(norm_cfg, in_channels),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        build_norm(norm_cfg, out_channels),
    ]


class ShuffleBranches(nn.ModuleList):
    """One chain of `ShuffleUnit`s for each branch.

    Takes and gives a list of `[n, channels[i], h / 2**i, w / 2**i]`.
    """

    def __init__(self, channels: Sequence[int], num_blocks: int, norm_cfg: Mapping[str, Any]) -> None:
        super().__init__(
            nn.Sequential(*(ShuffleUnit(width, norm_cfg) for _ in range(num_blocks))) for width in channels
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Each of `features` after its chain."""
        return [branch(feature) for branch, feature in zip(self, features, strict=True)]


class LiteHRModule(nn.Module):
    """Blocks on all branches, then an exchange between them.

    Takes and gives a list of `[n, c, h / 2**i, w / 2**i]`, one for each branch i with its own c.

    Args:
        stage: The stage that the module is a part of.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation is not supported.
    """

    def __init__(self, stage: StageSpec, norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        channels = stage.num_channels
        self.layers: nn.Module
        if stage.module_type == "NAIVE":
            self.layers = ShuffleBranches(channels, stage.num_blocks, norm_cfg)
        else:
            self.layers = nn.Sequential(
                *(ConditionalChannelWeighting(channels, stage.reduce_ratios, norm_cfg) for _ in range(stage.num_blocks))
            )
        self.with_fuse = stage.with_fuse
        if self.with_fuse:
            convolve = partial(separable_convolution, norm_cfg=norm_cfg)
            self.fuse_layers = fuse_layers(channels, stage.num_branches, convolve, norm_cfg)
            self.relu = nn.ReLU()

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The exchanged branches."""
        features = self.layers(features)
        return self._exchange(features) if self.with_fuse else list(features)

    def _exchange(self, features: Sequence[Tensor]) -> list[Tensor]:
        """For each branch the activated sum of all.

        It is not quite HRNet's sum, and trained weights depend on that: the finest branch counts twice, and all sums
        but the first take in its place that first sum, not activated. OpenMMLab's sums, in place, come to this.
        """
        finest, *others = features
        outputs: list[Tensor] = []
        for layers in self.fuse_layers:
            terms = [layer(feature) for layer, feature in zip(layers.children(), [finest, *others], strict=True)]
            fused = reduce(add, terms, terms[0])
            if not outputs:
                finest = fused
            outputs.append(self.relu(fused))
        return outputs
