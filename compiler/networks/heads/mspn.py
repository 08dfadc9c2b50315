"""The head of MSPN (arXiv:1901.00148): heat maps from every level of every stage."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn import functional as F

from compiler.networks.layers.conv import ConvModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class PredictHeatmap(nn.Module):
    """Two convolutions, whose output is resized.

    Takes `[n, unit_channels, h, w]` and gives `[n, out_channels, *out_shape]`; the arguments are those of `MSPNHead`.
    """

    def __init__(
        self, unit_channels: int, out_channels: int, out_shape: Sequence[int], norm_cfg: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.out_shape = tuple(out_shape)
        self.conv_layers = nn.Sequential(
            ConvModule(unit_channels, unit_channels, 1, norm_cfg=norm_cfg, act_cfg={"type": "ReLU"}),
            ConvModule(unit_channels, out_channels, 3, padding=1, norm_cfg=norm_cfg),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The heat maps of `x`."""
        return F.interpolate(self.conv_layers(x), size=self.out_shape, mode="bilinear", align_corners=True)


class MSPNHead(nn.Module):
    """A `PredictHeatmap` for each of the maps that `MSPN` gives.

    Takes a list of maps, `[n, unit_channels, ...]`, for each stage. Gives a flat tuple of heat maps,
    `[n, out_channels, *out_shape]`, in the order of the maps. The last, of the last stage's finest map, is the most
    accurate: the others were there to be trained on.

    Args:
        num_stages: Number of stages.
        num_units: Number of maps of each stage.
        out_shape: Height and width of the heat maps.
        unit_channels: Channels of the maps.
        out_channels: Number of key points.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation is not supported; or, from `forward`, there are more or fewer maps.
    """

    def __init__(
        self,
        num_stages: int = 4,
        num_units: int = 4,
        out_shape: Sequence[int] = (64, 48),
        unit_channels: int = 256,
        out_channels: int = 17,
        *,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN"}),
    ) -> None:
        super().__init__()
        self.predict_layers = nn.ModuleList(
            PredictHeatmap(unit_channels, out_channels, out_shape, norm_cfg) for _ in range(num_stages * num_units)
        )

    def forward(self, features: Sequence[Sequence[Tensor]]) -> tuple[Tensor, ...]:
        """The heat maps of `features`, the first stage's first."""
        maps = [feature for stage in features for feature in stage]
        return tuple(predict(feature) for predict, feature in zip(self.predict_layers, maps, strict=True))
