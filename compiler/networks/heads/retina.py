"""The head of RetinaNet (arXiv:1708.02002)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compiler.networks.layers.conv import conv_tower
from compiler.networks.layers.priors import by_prior
from compiler.selection.candidates import Candidates, by_level

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compiler.networks.layers.boxes import DeltaXYWHBBoxCoder
    from compiler.networks.layers.priors import AnchorGenerator


class RetinaHead(nn.Module):
    """Two towers of convolutions, the same on every feature map: one classifies anchors, the other moves them.

    Takes feature maps, finest first, `[n, in_channels, h, w]`. Gives the maps' scores before the sigmoid,
    `[n, a * num_classes, h, w]` where each cell has `a` anchors, then their box deltas, `[n, a * 4, h, w]`.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the feature maps.
        anchor_generator: Gives the anchors of each map.
        bbox_coder: Gives the boxes that the deltas make of the anchors.
        stacked_convs: Number of convolutions in each tower.
        feat_channels: Channels of the towers.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation is not supported.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        anchor_generator: AnchorGenerator,
        bbox_coder: DeltaXYWHBBoxCoder,
        *,
        stacked_convs: int = 4,
        feat_channels: int = 256,
        norm_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.anchor_generator = anchor_generator
        self.bbox_coder = bbox_coder
        options: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": {"type": "ReLU"}}
        self.cls_convs = conv_tower(in_channels, feat_channels, stacked_convs, **options)
        self.reg_convs = conv_tower(in_channels, feat_channels, stacked_convs, **options)
        channels = feat_channels if stacked_convs else in_channels
        num_anchors = anchor_generator.num_base_priors
        self.retina_cls = nn.Conv2d(channels, num_anchors * num_classes, 3, padding=1)
        self.retina_reg = nn.Conv2d(channels, num_anchors * 4, 3, padding=1)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The scores of all maps, then the deltas of all maps."""
        scores = [self.retina_cls(self.cls_convs(feature)) for feature in features]
        deltas = [self.retina_reg(self.reg_convs(feature)) for feature in features]
        return (*scores, *deltas)

    def decode(self, outputs: tuple[Tensor, ...], height: int, width: int) -> tuple[Candidates, ...]:
        """The candidates of each map, their boxes clipped to an input of `height` and `width`."""
        levels = len(self.anchor_generator.strides)
        maps, deltas = outputs[:levels], outputs[levels:]
        anchors = torch.cat(self.anchor_generator(maps))
        boxes = self.bbox_coder(anchors, by_prior(deltas, 4), (height, width))
        scores = [by_prior([level], self.num_classes).sigmoid() for level in maps]
        return by_level(boxes, scores)
