"""Lite-HRNet: HRNet with weights for each channel in place of costly 1x1 convolutions (arXiv:2104.06403)."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compiler.networks.backbones.hrnet import transit, transition_layers
from compiler.networks.backbones.litehrnet.stages import LiteHRModule, StageSpec, separable_convolution
from compiler.networks.layers.channels import channel_shuffle
from compiler.networks.layers.conv import ConvModule, DepthwiseSeparableConvModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RELU = MappingProxyType({"type": "ReLU"})
_EXTRA = ("num_stages", "stages_spec", "stem", "with_head")


class Stem(nn.Module):
    """A 3x3 convolution, then two paths, each on half of its channels; both halve height and width.

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h / 4, w / 4]`.

    Args:
        in_channels: Channels of the image.
        stem_channels: Even number of channels of the first convolution.
        out_channels: Channels of the output.
        expand_ratio: Channels inside the second path, as a multiple of `stem_channels`.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation is not supported.
    """

    def __init__(
        self,
        in_channels: int,
        stem_channels: int,
        out_channels: int,
        expand_ratio: float,
        norm_cfg: Mapping[str, Any],
    ) -> None:
        super().__init__()
        half = stem_channels // 2
        expanded = round(stem_channels * expand_ratio)
        second = half if stem_channels == out_channels else stem_channels
        activated: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": _RELU}
        self.conv1 = ConvModule(in_channels, stem_channels, 3, stride=2, padding=1, **activated)
        self.branch1 = nn.Sequential(
            ConvModule(half, half, 3, stride=2, padding=1, groups=half, norm_cfg=norm_cfg),
            ConvModule(half, out_channels - second, 1, **activated),
        )
        self.expand_conv = ConvModule(half, expanded, 1, **activated)
        self.depthwise_conv = ConvModule(expanded, expanded, 3, stride=2, padding=1, groups=expanded, norm_cfg=norm_cfg)
        self.linear_conv = ConvModule(expanded, second, 1, **activated)

    def forward(self, x: Tensor) -> Tensor:
        """The shuffled outputs of both paths."""
        first, second = self.conv1(x).chunk(2, dim=1)
        second = self.linear_conv(self.depthwise_conv(self.expand_conv(second)))
        return channel_shuffle(torch.cat([self.branch1(first), second], dim=1), 2)


class IterativeHead(nn.Module):
    """From the coarsest branch to the finest: double what the coarser gave, add it, and convolve.

    Takes a list of `[n, channels[i], h / 2**i, w / 2**i]` and gives `[n, channels[0], h, w]`.

    Args:
        channels: Channels of the branches, finest first.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation is not supported.
    """

    def __init__(self, channels: Sequence[int], norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        finer = [channels[0], *channels[:-1]]
        self.projects = nn.ModuleList(
            DepthwiseSeparableConvModule(
                width, finer_width, 3, padding=1, norm_cfg=norm_cfg, act_cfg=_RELU, dw_act_cfg=None
            )
            for width, finer_width in zip(reversed(channels), reversed(finer), strict=True)
        )
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The finest of the merged `features`."""
        coarsest, *finer = reversed(features)
        merged: Tensor = self.projects[0](coarsest)
        for project, feature in zip(self.projects[1:], finer, strict=True):
            merged = project(feature + self.upsample(merged))
        return merged


class LiteHRNet(nn.Module):
    """A stem that divides height and width by 4, then stages of ever more resolutions.

    Takes `[n, 3, h, w]`, h and w multiples of 32, and gives one `[n, c, h / 4, w / 4]`, the finest resolution.

    Args:
        extra: `stem`, what `Stem` takes; `num_stages`; `stages_spec`, a list over stages of each that `StageSpec`
            takes; and `with_head`, whether an `IterativeHead` brings the coarser resolutions into the finest.
        in_channels: Channels of the image.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: `extra` is incomplete or holds what is unknown, or one of its options or the normalisation is not
            supported.
    """

    def __init__(
        self,
        extra: Mapping[str, Any],
        in_channels: int = 3,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN"}),
    ) -> None:
        super().__init__()
        if sorted(extra) != list(_EXTRA):
            raise ValueError(f"extra must hold {', '.join(_EXTRA)}, not {', '.join(sorted(extra))}")
        self.stem = _build_stem(extra["stem"], in_channels, norm_cfg)
        self.stages: list[tuple[str, str]] = []
        channels: Sequence[int] = [extra["stem"]["out_channels"]]
        for index, spec in enumerate(_read_stages(extra["num_stages"], extra["stages_spec"])):
            names = f"transition{index}", f"stage{index}"
            convolve = partial(separable_convolution, norm_cfg=norm_cfg)
            self.add_module(names[0], transition_layers(channels, spec.num_channels, convolve))
            modules = (LiteHRModule(spec, norm_cfg) for _ in range(spec.num_modules))
            self.add_module(names[1], nn.Sequential(*modules))
            self.stages.append(names)
            channels = spec.num_channels
        self.with_head = extra["with_head"]
        if self.with_head:
            self.head_layer = IterativeHead(channels, norm_cfg)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """The finest feature map of `x`."""
        features = [self.stem(x)]
        for transition, stage in self.stages:
            features = getattr(self, stage)(transit(getattr(self, transition), features))
        return (self.head_layer(features) if self.with_head else features[0],)


def _build_stem(options: Mapping[str, Any], in_channels: int, norm_cfg: Mapping[str, Any]) -> Stem:
    try:
        return Stem(in_channels, **options, norm_cfg=norm_cfg)
    except TypeError as error:
        raise ValueError(f"extra.stem: {error}") from error


def _read_stages(num_stages: int, stages_spec: Mapping[str, Sequence[Any]]) -> list[StageSpec]:
    """The stages out of lists that each hold one value for each stage."""
    if any(len(values) != num_stages for values in stages_spec.values()):
        raise ValueError(f"extra.stages_spec: {num_stages} stages need as many values under each key")
    try:
        return [StageSpec(**{key: values[index] for key, values in stages_spec.items()}) for index in range(num_stages)]
    except (TypeError, ValueError) as error:
        raise ValueError(f"extra.stages_spec: {error}") from error
