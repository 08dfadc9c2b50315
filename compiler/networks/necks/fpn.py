"""The feature pyramid network (arXiv:1612.03144)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn import functional as F

from compiler.networks.layers.conv import ConvModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EXTRA_CONVS = ("on_input", "on_output")


class FPN(nn.Module):
    """Add to each feature map what the coarser ones found, and append coarser maps still.

    Takes feature maps, finest first, each twice as high and wide as the next. Gives `num_outs` maps of `out_channels`
    channels: one for each map from `start_level` on, then ones of half the height and width each, rounded up.

    Args:
        in_channels: Channels of the maps.
        out_channels: Channels of every output.
        num_outs: Number of outputs.
        start_level: The first map that is used.
        add_extra_convs: What the first appended map is convolved from: the coarsest input, `on_input`, or the coarsest
            output, `on_output`.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.

    Raises:
        ValueError: `add_extra_convs`, the normalisation or the activation is not supported, or fewer outputs are asked
            for than maps are used.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 0,
        *,
        add_extra_convs: str,
        norm_cfg: Mapping[str, Any] | None = None,
        act_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        used = list(in_channels[start_level:])
        extra_levels = num_outs - len(used)
        if add_extra_convs not in _EXTRA_CONVS:
            raise ValueError(f"add_extra_convs {add_extra_convs!r} is not supported, only {', '.join(_EXTRA_CONVS)}")
        if extra_levels < 0:
            raise ValueError(f"num_outs {num_outs} must be at least {len(used)}, the number of maps that are used")
        self.start_level = start_level
        self.on_input = add_extra_convs == "on_input"
        common: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.lateral_convs = nn.ModuleList(ConvModule(channels, out_channels, 1, **common) for channels in used)
        self.fpn_convs = nn.ModuleList(ConvModule(out_channels, out_channels, 3, padding=1, **common) for _ in used)
        for level in range(extra_levels):
            channels = used[-1] if self.on_input and level == 0 else out_channels
            self.fpn_convs.append(ConvModule(channels, out_channels, 3, stride=2, padding=1, **common))

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The pyramid over `features`, finest first."""
        merged = self._merge(features[self.start_level :])
        outputs = [conv(feature) for conv, feature in zip(self.fpn_convs, merged, strict=False)]
        coarsest = features[-1] if self.on_input else outputs[-1]
        for conv in self.fpn_convs[len(merged) :]:
            coarsest = conv(coarsest)
            outputs.append(coarsest)
        return tuple(outputs)

    def _merge(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The projection of each map, finest first, with the merged projection of the next coarser one added."""
        merged: list[Tensor] = []
        for conv, feature in zip(reversed(self.lateral_convs), reversed(features), strict=True):
            lateral = conv(feature)
            if merged:
                lateral = lateral + F.interpolate(merged[0], scale_factor=2, mode="nearest")
            merged.insert(0, lateral)
        return merged
