"""Models that find objects in point clouds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


class VoxelNet(nn.Module):
    """Features of the voxels, laid out as images of the ground, and a detector on those.

    Takes `voxels`, `num_points` and `coors` as `PillarFeatureNet` does, and gives the head's raw outputs as a flat
    tuple.

    Args:
        voxel_encoder: Takes the inputs, gives the features of each voxel.
        middle_encoder: Takes features and `coors`, gives images.
        backbone: Takes images, gives a tuple of feature maps.
        neck: Takes feature maps, gives feature maps.
        bbox_head: Takes feature maps, gives a tuple of tensors.
    """

    def __init__(
        self,
        voxel_encoder: nn.Module,
        middle_encoder: nn.Module,
        backbone: nn.Module,
        neck: nn.Module,
        bbox_head: nn.Module,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.bbox_head: Callable[..., tuple[Tensor, ...]] = bbox_head
        self.voxel_encoder = voxel_encoder
        self.middle_encoder = middle_encoder

    def forward(self, voxels: Tensor, num_points: Tensor, coors: Tensor) -> tuple[Tensor, ...]:
        """The raw outputs for the point clouds whose points are in `voxels`."""
        images = self.middle_encoder(self.voxel_encoder(voxels, num_points, coors), coors)
        return self.bbox_head(self.neck(self.backbone(images)))


class CenterPoint(nn.Module):
    """What `VoxelNet` is, under the names that MMDetection3D gives the parts of a CenterPoint (arXiv:2006.11275)."""

    def __init__(
        self,
        pts_voxel_encoder: nn.Module,
        pts_middle_encoder: nn.Module,
        pts_backbone: nn.Module,
        pts_neck: nn.Module,
        pts_bbox_head: nn.Module,
    ) -> None:
        super().__init__()
        self.pts_voxel_encoder = pts_voxel_encoder
        self.pts_middle_encoder = pts_middle_encoder
        self.pts_backbone = pts_backbone
        self.pts_neck = pts_neck
        self.pts_bbox_head: Callable[..., tuple[Tensor, ...]] = pts_bbox_head

    def forward(self, voxels: Tensor, num_points: Tensor, coors: Tensor) -> tuple[Tensor, ...]:
        """The raw outputs for the point clouds whose points are in `voxels`."""
        images = self.pts_middle_encoder(self.pts_voxel_encoder(voxels, num_points, coors), coors)
        return self.pts_bbox_head(self.pts_neck(self.pts_backbone(images)))
