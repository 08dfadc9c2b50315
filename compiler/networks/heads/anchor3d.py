"""The head of SECOND and PointPillars (arXiv:1812.05784): boxes of known sizes at every place of the ground."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIRECTIONS = 2


class Anchor3DHead(nn.Module):
    """For each anchor the scores of the classes, the box's deviation from it, and in which of two directions it faces.

    Takes one feature map, `[n, feat_channels, h, w]`, in a sequence. Gives `cls_score`, `bbox_pred` and `dir_cls_pred`,
    `[n, anchors * k, h, w]`, k being `num_classes`, `code_size` and 2: unnormalised scores, and deviations that are
    yet to be decoded.

    Args:
        num_classes: Number of classes.
        feat_channels: Channels of the feature map.
        num_anchors: Anchors at each place, one for each size and rotation.
        code_size: Numbers that describe a box: 7, or 9 with its velocity.
    """

    def __init__(self, num_classes: int, feat_channels: int, num_anchors: int, code_size: int = 7) -> None:
        super().__init__()
        self.conv_cls = nn.Conv2d(feat_channels, num_anchors * num_classes, 1)
        self.conv_reg = nn.Conv2d(feat_channels, num_anchors * code_size, 1)
        self.conv_dir_cls = nn.Conv2d(feat_channels, num_anchors * _DIRECTIONS, 1)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The raw outputs of the one feature map in `features`."""
        (feature,) = features
        return self.conv_cls(feature), self.conv_reg(feature), self.conv_dir_cls(feature)
