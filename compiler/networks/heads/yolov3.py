"""The head of YOLOv3 (arXiv:1804.02767)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compiler.networks.layers.boxes import yolo2bbox
from compiler.networks.layers.conv import ConvModule
from compiler.networks.layers.priors import by_prior
from compiler.selection.candidates import Candidates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compiler.networks.layers.priors import YOLOAnchorGenerator


class YOLOV3Head(nn.Module):
    """On each feature map, a convolution and a prediction for every anchor: a box, an objectness and the classes.

    Takes feature maps, coarsest first. Gives `[n, a * (5 + num_classes), h, w]` for each, where a cell has `a` anchors.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of each feature map.
        anchor_generator: Gives the anchors of each map.
        out_channels: Channels between the convolution and the prediction of each map.
        featmap_strides: Side of the cells of each map, in pixels.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.

    Raises:
        ValueError: There are not as many channels as strides, the strides are not those of the anchors, or the
            normalisation or activation is not supported.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: Sequence[int],
        anchor_generator: YOLOAnchorGenerator,
        *,
        out_channels: Sequence[int] = (1024, 512, 256),
        featmap_strides: Sequence[int] = (32, 16, 8),
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN"}),
        act_cfg: Mapping[str, Any] = MappingProxyType({"type": "LeakyReLU", "negative_slope": 0.1}),
    ) -> None:
        super().__init__()
        if not len(in_channels) == len(out_channels) == len(featmap_strides):
            raise ValueError("in_channels, out_channels and featmap_strides must be of the same length")
        if tuple(featmap_strides) != anchor_generator.strides:
            raise ValueError(f"featmap_strides are {featmap_strides}, and the anchors' {anchor_generator.strides}")
        self.anchor_generator = anchor_generator
        self.attributes = 5 + num_classes
        self.convs_bridge = nn.ModuleList(
            ConvModule(*channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg)
            for channels in zip(in_channels, out_channels, strict=True)
        )
        num_outputs = anchor_generator.num_base_priors * self.attributes
        self.convs_pred = nn.ModuleList(nn.Conv2d(channels, num_outputs, 1) for channels in out_channels)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The prediction of each map."""
        branches = zip(self.convs_pred, self.convs_bridge, features, strict=True)
        return tuple(predict(bridge(feature)) for predict, bridge, feature in branches)

    def decode(self, outputs: tuple[Tensor, ...], height: int, width: int) -> tuple[Candidates, ...]:
        """The candidates of all maps in one group; their boxes may reach out of the input, as the original's."""
        anchors = self.anchor_generator(outputs)
        box, confidence = torch.split(by_prior(outputs, self.attributes), [4, self.attributes - 4], dim=-1)
        objectness, scores = torch.split(confidence.sigmoid(), [1, self.attributes - 5], dim=-1)
        boxes = yolo2bbox(torch.cat(anchors), box, self.anchor_generator.strides_of(anchors))
        return (Candidates(boxes, scores, objectness.squeeze(-1)),)
