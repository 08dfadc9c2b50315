"""The neck of YOLOv3 (arXiv:1804.02767)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compiler.networks.layers.conv import ConvModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class DetectionBlock(nn.Sequential):
    """Five convolutions, 1x1 and 3x3 in turn, of which the 3x3 ones double the channels.

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h, w]`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm_cfg: Mapping[str, Any] | None = None,
        act_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        common: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.conv1 = ConvModule(in_channels, out_channels, 1, **common)
        self.conv2 = ConvModule(out_channels, 2 * out_channels, 3, padding=1, **common)
        self.conv3 = ConvModule(2 * out_channels, out_channels, 1, **common)
        self.conv4 = ConvModule(out_channels, 2 * out_channels, 3, padding=1, **common)
        self.conv5 = ConvModule(2 * out_channels, out_channels, 1, **common)


class YOLOV3Neck(nn.Module):
    """Detect on the coarsest map, then carry what was found to each finer map by concatenation.

    Takes `num_scales` feature maps, finest first, each twice as high and wide as the next. Gives as many,
    coarsest first, `[n, out_channels[i], h, w]`.

    Args:
        num_scales: Number of feature maps.
        in_channels: Channels of the maps, coarsest first.
        out_channels: Channels of the outputs, coarsest first.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.

    Raises:
        ValueError: There are not `num_scales` numbers of channels, or the normalisation or activation is not
            supported.
    """

    def __init__(
        self,
        num_scales: int,
        in_channels: Sequence[int],
        out_channels: Sequence[int],
        *,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN"}),
        act_cfg: Mapping[str, Any] = MappingProxyType({"type": "LeakyReLU", "negative_slope": 0.1}),
    ) -> None:
        super().__init__()
        if not num_scales == len(in_channels) == len(out_channels):
            raise ValueError(f"in_channels and out_channels must have num_scales = {num_scales} entries each")
        common: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.detect1 = DetectionBlock(in_channels[0], out_channels[0], **common)
        for scale in range(1, num_scales):
            channels = out_channels[scale]
            self.add_module(f"conv{scale}", ConvModule(out_channels[scale - 1], channels, 1, **common))
            self.add_module(f"detect{scale + 1}", DetectionBlock(in_channels[scale] + channels, channels, **common))

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The outputs for `features`, coarsest first."""
        coarsest, *finer = reversed(features)
        outputs = [self.detect1(coarsest)]
        for scale, feature in enumerate(finer, start=1):
            carried = F.interpolate(getattr(self, f"conv{scale}")(outputs[-1]), scale_factor=2, mode="nearest")
            outputs.append(getattr(self, f"detect{scale + 1}")(torch.cat([carried, feature], dim=1)))
        return tuple(outputs)
