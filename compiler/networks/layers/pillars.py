"""Pillars: the points above each cell of the ground, described and laid out as an image (arXiv:1812.05784)."""

from __future__ import annotations

from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from compiler.networks.layers.conv import build_norm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DECORATIONS = 6


class PFNLayer(nn.Module):
    """A linear layer on each point, its normalisation and activation, and the largest value over the points.

    Takes `[v, p, in_channels]`, p points in each of v pillars, and gives `[v, out_channels]`.

    Args:
        in_channels: Features of a point.
        out_channels: Features of a pillar.
        norm_cfg: As in `build_norm`.

    Raises:
        ValueError: The normalisation is not supported.
    """

    def __init__(self, in_channels: int, out_channels: int, *, norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        self.norm = build_norm(norm_cfg, out_channels)
        self.linear = nn.Linear(in_channels, out_channels, bias=False)

    def forward(self, points: Tensor) -> Tensor:
        """What the points of each pillar have in common."""
        features = self.linear(points)
        # Normalised as rows, in which the channels already come last.
        normalised = self.norm(features.flatten(0, 1)).reshape(-1, *features.shape[1:])
        return torch.relu(normalised).amax(dim=1)


class PillarFeatureNet(nn.Module):
    """Describe each pillar by its points, each decorated with its place in the pillar.

    Takes `voxels`, `[v, p, in_channels]`, the points of v pillars, x, y and z in metres first; `num_points`, `[v]`, how
    many of the p rows of each pillar are points, the others being ignored; and `coors`, `[v, 4]`, the cell of each
    pillar, as item of the batch, z, y, x. Gives `[v, feat_channels[0]]`.

    Args:
        in_channels: Numbers that the sensor gives for a point.
        feat_channels: Features of a pillar: one number.
        voxel_size: Of a cell, as x, y, z in metres.
        point_cloud_range: Of the grid, as the smallest x, y, z and the largest, in metres.
        norm_cfg: As in `build_norm`.
        legacy: Whether a point's place in the grid is replaced by its offset from the cell's centre, which it is
            decorated with besides. MMDetection3D once did so by mistake, and many checkpoints were trained with it.

    Raises:
        ValueError: The normalisation is not supported, or more than one layer is asked for.
    """

    voxel_size: Tensor
    first_center: Tensor

    def __init__(
        self,
        in_channels: int = 4,
        feat_channels: Sequence[int] = (64,),
        voxel_size: Sequence[float] = (0.2, 0.2, 4),
        point_cloud_range: Sequence[float] = (0, -40, -3, 70.4, 40, 1),
        *,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN1d", "eps": 1e-3, "momentum": 0.01}),
        legacy: bool = True,
    ) -> None:
        super().__init__()
        if len(feat_channels) != 1:
            raise ValueError(f"feat_channels {list(feat_channels)} must be one number")
        self.legacy = legacy
        self.pfn_layers = nn.Sequential(PFNLayer(in_channels + _DECORATIONS, feat_channels[0], norm_cfg=norm_cfg))
        centers = [size / 2 + lowest for size, lowest in zip(voxel_size, point_cloud_range[:3], strict=True)]
        self.register_buffer("voxel_size", torch.tensor(voxel_size, dtype=torch.float32), persistent=False)
        self.register_buffer("first_center", torch.tensor(centers), persistent=False)

    def forward(self, voxels: Tensor, num_points: Tensor, coors: Tensor) -> Tensor:
        """The features of each pillar."""
        places, measured = voxels[..., :3], voxels[..., 3:]
        from_mean = places - places.sum(dim=1, keepdim=True) / num_points[:, None, None]
        centers = coors[:, 1:].flip(1) * self.voxel_size + self.first_center
        from_center = places - centers[:, None]
        first = from_center if self.legacy else places
        points = torch.cat([first, measured, from_mean, from_center], dim=-1)
        is_point = torch.arange(voxels.shape[1], device=voxels.device) < num_points[:, None]
        # Rows that are no points still take part in the maximum, as zeros.
        pillars: Tensor = self.pfn_layers(points * is_point[..., None])
        return pillars


class PointPillarsScatter(nn.Module):
    """Lay pillars out as images of the ground seen from above, zero where there is no pillar.

    Takes features, `[v, in_channels]`, and `coors` as `PillarFeatureNet` does, the items of the batch in order. Gives
    `[n, in_channels, *output_shape]`, n being one more than the last item. Where several pillars have one cell, they
    must be equal.

    Args:
        in_channels: Features of a pillar.
        output_shape: Rows and columns of the grid.

    Attributes:
        items: How many items every batch has; None where only the data tells.
    """

    steps: Tensor
    channels: Tensor

    def __init__(self, in_channels: int, output_shape: Sequence[int]) -> None:
        super().__init__()
        rows, columns = output_shape
        cells = rows * columns
        self.shape = (in_channels, rows, columns)
        self.items: int | None = None
        # How far apart in memory items, rows and columns are; a pillar fills its cell's whole height.
        steps = torch.tensor([in_channels * cells, 0, columns, 1])
        self.register_buffer("steps", steps, persistent=False)
        self.register_buffer("channels", torch.arange(in_channels) * cells, persistent=False)

    def forward(self, pillars: Tensor, coors: Tensor) -> Tensor:
        """The images, `[n, in_channels, *output_shape]`."""
        # Written where they belong, the features need no transposition of the large and mostly empty images.
        places = (coors * self.steps).sum(dim=1, keepdim=True) + self.channels
        items = self.number_of_items(coors)
        images = pillars.new_zeros(items * prod(self.shape))
        return images.scatter(0, places.flatten(), pillars.flatten()).view(items, *self.shape)

    def number_of_items(self, coors: Tensor) -> int:
        """The number of items in the batch."""
        return cast("int", coors[-1, 0].item()) + 1 if self.items is None else self.items
