"""The head of RTMDet (arXiv:2212.07784)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compiler.networks.layers.boxes import distance2bbox
from compiler.networks.layers.conv import conv_tower
from compiler.networks.layers.priors import by_prior
from compiler.selection.candidates import Candidates, by_level

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compiler.networks.layers.priors import MlvlPointGenerator


class RTMDetSepBNHead(nn.Module):
    """Two towers of convolutions on each feature map, which may share kernels across maps but not normalisations.

    Takes feature maps, finest first, `[n, in_channels, h, w]`. Gives the maps' scores before the sigmoid,
    `[n, num_classes, h, w]`, then their distances from each point to the left, upper, right and lower edge of its box,
    `[n, 4, h, w]`, in pixels of the network's input.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the feature maps.
        anchor_generator: Gives the points of each map.
        share_conv: Let the towers of all maps have the same kernels.
        with_objectness: Not supported.
        exp_on_reg: Predict the logarithms of the distances.
        pred_kernel_size: Odd side of the kernels after the towers.
        stacked_convs: Number of convolutions in each tower.
        feat_channels: Channels of the towers.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.

    Raises:
        ValueError: An objectness is asked for, or the normalisation or the activation is not supported.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        anchor_generator: MlvlPointGenerator,
        *,
        share_conv: bool = True,
        with_objectness: bool = False,
        exp_on_reg: bool = False,
        pred_kernel_size: int = 1,
        stacked_convs: int = 4,
        feat_channels: int = 256,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN", "momentum": 0.03, "eps": 0.001}),
        act_cfg: Mapping[str, Any] = MappingProxyType({"type": "SiLU"}),
    ) -> None:
        super().__init__()
        if with_objectness:
            raise ValueError("with_objectness is not supported")
        self.num_classes = num_classes
        self.anchor_generator = anchor_generator
        self.exp_on_reg = exp_on_reg
        levels = range(len(anchor_generator.strides))

        def towers() -> nn.ModuleList:
            towers = nn.ModuleList(
                conv_tower(in_channels, feat_channels, stacked_convs, norm_cfg=norm_cfg, act_cfg=act_cfg)
                for _ in levels
            )
            return _with_shared_kernels(towers) if share_conv else towers

        def predictions(channels: int) -> nn.ModuleList:
            padding = pred_kernel_size // 2
            return nn.ModuleList(nn.Conv2d(feat_channels, channels, pred_kernel_size, padding=padding) for _ in levels)

        self.cls_convs = towers()
        self.reg_convs = towers()
        self.rtm_cls = predictions(num_classes)
        self.rtm_reg = predictions(4)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The scores of all maps, then the distances of all maps."""
        scores = _branch(features, self.cls_convs, self.rtm_cls)
        distances = [
            (distance.exp() if self.exp_on_reg else distance) * stride
            for distance, stride in zip(
                _branch(features, self.reg_convs, self.rtm_reg), self.anchor_generator.strides, strict=True
            )
        ]
        return (*scores, *distances)

    def decode(self, outputs: tuple[Tensor, ...], height: int, width: int) -> tuple[Candidates, ...]:
        """The candidates of each map, their boxes clipped to an input of `height` and `width`."""
        levels = len(self.anchor_generator.strides)
        maps, distances = outputs[:levels], outputs[levels:]
        points = torch.cat(self.anchor_generator(maps))
        boxes = distance2bbox(points, by_prior(distances, 4), (height, width))
        scores = [by_prior([level], self.num_classes).sigmoid() for level in maps]
        return by_level(boxes, scores)


def _branch(features: Sequence[Tensor], towers: nn.ModuleList, predictions: nn.ModuleList) -> list[Tensor]:
    """What the last layer of each map's branch predicts."""
    return [predict(tower(x)) for x, tower, predict in zip(features, towers, predictions, strict=True)]


def _with_shared_kernels(towers: nn.ModuleList) -> nn.ModuleList:
    """Give every tower the convolutions of the first; each keeps its own normalisations."""
    first, *others = towers
    for tower in others:
        for module, source in zip(tower.children(), first.children(), strict=True):
            module.conv = source.conv
    return towers
