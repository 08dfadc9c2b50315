"""HRNet, which keeps several resolutions side by side and exchanges between them (arXiv:1902.09212)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import add
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from compiler.networks.backbones.resnet import BasicBlock, Bottleneck, residual_layer
from compiler.networks.layers.conv import build_norm

if TYPE_CHECKING:
    from collections.abc import Mapping

_BLOCKS: MappingProxyType[str, type[BasicBlock | Bottleneck]] = MappingProxyType(
    {"BASIC": BasicBlock, "BOTTLENECK": Bottleneck}
)
_NEAREST = MappingProxyType({"mode": "nearest"})
_STAGES = ("stage1", "stage2", "stage3", "stage4")
_STEM_CHANNELS = 64

Convolution = Callable[[int, int, int], list[nn.Module]]
"""From channels of the input, channels of the output and a stride to a normalised 3x3 convolution, not activated."""


@dataclass(frozen=True)
class StageSpec:
    """One stage, as `extra` holds it.

    Attributes:
        num_modules: How often the branches exchange what they found; without effect on the first stage.
        num_branches: Number of resolutions, each half as fine as the one before it.
        block: `BASIC` or `BOTTLENECK`.
        num_blocks: Number of blocks of each branch.
        num_channels: Channels inside the blocks of each branch: a fourth of what a bottleneck gives.
        multiscale_output: Give every resolution, not the finest alone; the stages before the last always do.
        upsample: How maps are enlarged: what `torch.nn.Upsample` takes beside the factor.

    Raises:
        ValueError: The block is not supported, or there is not one number for each branch.
    """

    num_modules: int
    num_branches: int
    block: str
    num_blocks: Sequence[int]
    num_channels: Sequence[int]
    multiscale_output: bool = False
    upsample: Mapping[str, Any] = field(default_factory=lambda: _NEAREST)

    def __post_init__(self) -> None:
        if self.block not in _BLOCKS:
            raise ValueError(f"block {self.block!r} is not supported, only {', '.join(_BLOCKS)}")
        if not self.num_branches == len(self.num_blocks) == len(self.num_channels):
            raise ValueError(
                f"{self.num_branches} branches need as many num_blocks and num_channels, not "
                f"{len(self.num_blocks)} and {len(self.num_channels)}"
            )

    @property
    def out_channels(self) -> list[int]:
        """Channels that each branch gives."""
        return [channels * _BLOCKS[self.block].expansion for channels in self.num_channels]


def convolution(in_channels: int, out_channels: int, stride: int, *, norm_cfg: Mapping[str, Any]) -> list[nn.Module]:
    """A 3x3 convolution and its normalisation: HRNet's `Convolution`, once its `norm_cfg` is bound."""
    return [
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
        build_norm(norm_cfg, out_channels),
    ]


def transition_layers(previous: Sequence[int], current: Sequence[int], convolve: Convolution) -> nn.ModuleList:
    """What leads from the branches of one stage to those of the next, which has more; see `transit`.

    Args:
        previous: Channels of the branches before, finest first.
        current: Channels of the branches after.
        convolve: Makes the convolutions.
    """
    layers: list[nn.Module] = [
        nn.Identity() if before == after else nn.Sequential(*convolve(before, after, 1), nn.ReLU())
        for before, after in zip(previous, current, strict=False)
    ]
    for count, channels in enumerate(current[len(previous) :], start=1):
        layers.append(_downsampling(previous[-1], channels, count, convolve, activate=True))
    return nn.ModuleList(layers)


def transit(layers: nn.ModuleList, features: Sequence[Tensor]) -> list[Tensor]:
    """Apply `transition_layers`: a new branch starts from the coarsest of `features`."""
    return [layer(features[min(index, len(features) - 1)]) for index, layer in enumerate(layers)]


def fuse_layers(
    channels: Sequence[int],
    num_outputs: int,
    convolve: Convolution,
    norm_cfg: Mapping[str, Any],
    upsample: Mapping[str, Any] = _NEAREST,
) -> nn.ModuleList:
    """For each of `num_outputs` resolutions, what brings every branch to its resolution and channels.

    Args:
        channels: Channels of the branches, finest first.
        num_outputs: How many resolutions are given, from the finest on.
        convolve: Makes the convolutions that coarsen.
        norm_cfg: As in `ConvModule`, for the convolutions that refine.
        upsample: As in `StageSpec`.
    """

    def layer(source: int, target: int) -> nn.Module:
        if source < target:
            return _downsampling(channels[source], channels[target], target - source, convolve, activate=False)
        if source == target:
            return nn.Identity()
        return nn.Sequential(
            nn.Conv2d(channels[source], channels[target], 1, bias=False),
            build_norm(norm_cfg, channels[target]),
            nn.Upsample(scale_factor=2 ** (source - target), **upsample),
        )

    return nn.ModuleList(
        nn.ModuleList(layer(source, target) for source in range(len(channels))) for target in range(num_outputs)
    )


def _downsampling(
    in_channels: int, out_channels: int, count: int, convolve: Convolution, *, activate: bool
) -> nn.Sequential:
    """A chain of `count` convolutions that halve; the last changes the channels, and is activated where `activate`."""
    steps = []
    for remaining in reversed(range(count)):
        channels = in_channels if remaining else out_channels
        activation = [nn.ReLU()] if remaining or activate else []
        steps.append(nn.Sequential(*convolve(in_channels, channels, 2), *activation))
    return nn.Sequential(*steps)


class HRModule(nn.Module):
    """Branches of residual blocks, then an exchange between them: each output is the sum of all, brought to its size.

    Takes a list of `[n, c, h / 2**i, w / 2**i]`, one for each branch i with its own c, and gives the same, or the
    first alone.

    Args:
        stage: The stage that the module is a part of.
        multiscale_output: Give every resolution, not the finest alone.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation is not supported.
    """

    def __init__(self, stage: StageSpec, *, multiscale_output: bool, norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        channels = stage.out_channels
        self.branches = nn.ModuleList(
            residual_layer(_BLOCKS[stage.block], width, width, depth, norm_cfg=norm_cfg)
            for width, depth in zip(channels, stage.num_blocks, strict=True)
        )
        num_outputs = stage.num_branches if multiscale_output else 1
        self.fuse_layers = fuse_layers(
            channels, num_outputs, partial(convolution, norm_cfg=norm_cfg), norm_cfg, stage.upsample
        )
        self.relu = nn.ReLU()

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The exchanged branches."""
        features = [branch(feature) for branch, feature in zip(self.branches, features, strict=True)]
        return [
            self.relu(reduce(add, [layer(feature) for layer, feature in zip(layers.children(), features, strict=True)]))
            for layers in self.fuse_layers
        ]


class HRNet(nn.Module):
    """A stem that divides height and width by 4, a stage of one resolution, and three of ever more resolutions.

    Takes `[n, 3, h, w]`, h and w multiples of 32, and gives the last stage's resolutions, of which the finest is
    `[n, c, h / 4, w / 4]`: by default that one alone.

    Args:
        extra: Under `stage1` to `stage4`, what `StageSpec` takes; under `upsample`, that of them all.
        in_channels: Channels of the image.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: `extra` lacks a stage, holds what is not one, or one of its options or the normalisation is not
            supported.
    """

    def __init__(
        self,
        extra: Mapping[str, Mapping[str, Any]],
        in_channels: int = 3,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN"}),
    ) -> None:
        super().__init__()
        first, *stages = _read_stages(extra)
        self.conv1 = nn.Conv2d(in_channels, _STEM_CHANNELS, 3, stride=2, padding=1, bias=False)
        self.bn1 = build_norm(norm_cfg, _STEM_CHANNELS)
        self.conv2 = nn.Conv2d(_STEM_CHANNELS, _STEM_CHANNELS, 3, stride=2, padding=1, bias=False)
        self.bn2 = build_norm(norm_cfg, _STEM_CHANNELS)
        self.relu = nn.ReLU()
        channels = first.out_channels
        self.layer1 = residual_layer(
            _BLOCKS[first.block], _STEM_CHANNELS, channels[0], first.num_blocks[0], norm_cfg=norm_cfg
        )
        self.stages: list[tuple[str, str]] = []
        for number, spec in enumerate(stages, start=2):
            names = f"transition{number - 1}", f"stage{number}"
            transition = transition_layers(channels, spec.out_channels, partial(convolution, norm_cfg=norm_cfg))
            self.add_module(names[0], transition)
            self.add_module(names[1], _stage(spec, last=spec is stages[-1], norm_cfg=norm_cfg))
            self.stages.append(names)
            channels = spec.out_channels

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The feature maps of `x`, finest first."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        features = [self.layer1(x)]
        for transition, stage in self.stages:
            features = getattr(self, stage)(transit(getattr(self, transition), features))
        return tuple(features)


def _read_stages(extra: Mapping[str, Mapping[str, Any]]) -> list[StageSpec]:
    upsample = extra.get("upsample", _NEAREST)
    if sorted(extra.keys() - {"upsample"}) != list(_STAGES):
        raise ValueError(f"extra must hold {', '.join(_STAGES)}, not {', '.join(sorted(extra))}")
    stages = []
    for name in _STAGES:
        try:
            stages.append(StageSpec(**extra[name], upsample=upsample))
        except (TypeError, ValueError) as error:
            raise ValueError(f"extra.{name}: {error}") from error
    return stages


def _stage(spec: StageSpec, *, last: bool, norm_cfg: Mapping[str, Any]) -> nn.Sequential:
    """The stage's modules; the final one of the `last` stage gives what the stage's spec asks for."""
    finest_alone = last and not spec.multiscale_output
    return nn.Sequential(
        *(
            HRModule(spec, multiscale_output=not (finest_alone and number == spec.num_modules), norm_cfg=norm_cfg)
            for number in range(1, spec.num_modules + 1)
        )
    )
