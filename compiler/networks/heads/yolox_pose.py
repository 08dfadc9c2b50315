"""The head of YOLOX-Pose: a person's box and key points at every point (arXiv:2204.06806)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compiler.networks.layers.conv import conv_tower
from compiler.networks.layers.priors import by_prior
from compiler.selection.candidates import Candidates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from compiler.networks.layers.priors import MlvlPointGenerator


class YOLOXPoseHeadModule(nn.Module):
    """Three towers of convolutions on each feature map: for the class, for the box, and for the key points.

    Takes feature maps, finest first, `[n, in_channels * widen_factor, h, w]`. Gives, each for all maps: the scores of
    the classes, `[n, num_classes, h, w]`, and of there being an object, `[n, 1, h, w]`, both before the sigmoid; the
    boxes, `[n, 4, h, w]`; the key points' offsets, `[n, 2 * num_keypoints, h, w]`; and their scores before the sigmoid,
    `[n, num_keypoints, h, w]`.

    Args:
        num_keypoints: Number of key points.
        in_channels: Channels of the feature maps, at a widen factor of 1.
        num_classes: Number of classes.
        widen_factor: Scales the number of channels.
        feat_channels: Channels of the towers, at a widen factor of 1.
        stacked_convs: Convolutions of a tower; the one for the key points has twice as many.
        featmap_strides: One for each map; only their number matters.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation or the activation is not supported.
    """

    def __init__(
        self,
        num_keypoints: int,
        in_channels: int,
        num_classes: int = 1,
        widen_factor: float = 1.0,
        feat_channels: int = 256,
        stacked_convs: int = 2,
        featmap_strides: Sequence[int] = (8, 16, 32),
        *,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN", "momentum": 0.03, "eps": 0.001}),
        act_cfg: Mapping[str, Any] = MappingProxyType({"type": "SiLU"}),
    ) -> None:
        super().__init__()
        inputs, width = int(in_channels * widen_factor), int(feat_channels * widen_factor)

        def on_each_map(make: Callable[[], nn.Module]) -> nn.ModuleList:
            return nn.ModuleList(make() for _ in featmap_strides)

        def towers(depth: int) -> nn.ModuleList:
            return on_each_map(lambda: conv_tower(inputs, width, depth, norm_cfg=norm_cfg, act_cfg=act_cfg))

        def predictions(channels: int) -> nn.ModuleList:
            return on_each_map(lambda: nn.Conv2d(width, channels, 1))

        self.conv_cls = towers(stacked_convs)
        self.out_cls = predictions(num_classes)
        self.out_obj = predictions(1)
        self.conv_reg = towers(stacked_convs)
        self.out_bbox = predictions(4)
        self.conv_pose = towers(2 * stacked_convs)
        self.out_kpt = predictions(2 * num_keypoints)
        self.out_kpt_vis = predictions(num_keypoints)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The classes' scores of all maps, then the objects', the boxes, the offsets and the points' scores."""
        classes, boxes, poses = (_apply(towers, features) for towers in (self.conv_cls, self.conv_reg, self.conv_pose))
        return (
            *_apply(self.out_cls, classes),
            *_apply(self.out_obj, boxes),
            *_apply(self.out_bbox, boxes),
            *_apply(self.out_kpt, poses),
            *_apply(self.out_kpt_vis, poses),
        )


class YOLOXPoseHead(nn.Module):
    """A `YOLOXPoseHeadModule`, and what its outputs mean.

    Takes feature maps, finest first, and gives what `YOLOXPoseHeadModule` does.

    Args:
        num_keypoints: Number of key points.
        head_module_cfg: The other arguments of `YOLOXPoseHeadModule`.
        prior_generator: Gives the points of each map.
        featmap_strides: As the strides of the points.

    Raises:
        ValueError: An argument of the module is unknown or not supported, or the strides differ.
    """

    def __init__(
        self,
        num_keypoints: int,
        head_module_cfg: Mapping[str, Any],
        prior_generator: MlvlPointGenerator,
        featmap_strides: Sequence[int] = (8, 16, 32),
    ) -> None:
        super().__init__()
        if tuple(featmap_strides) != prior_generator.strides:
            raise ValueError(f"featmap_strides are {featmap_strides}, and the points' {prior_generator.strides}")
        self.num_keypoints = num_keypoints
        self.num_classes = head_module_cfg.get("num_classes", 1)
        self.prior_generator = prior_generator
        try:
            self.head_module = YOLOXPoseHeadModule(num_keypoints, featmap_strides=featmap_strides, **head_module_cfg)
        except TypeError as error:
            raise ValueError(f"head_module_cfg: {error}") from error
        # Only the training loss reads the sigmas, but it keeps them in every checkpoint.
        self.loss_oks = nn.Module()
        self.loss_oks.register_buffer("sigmas", torch.ones(num_keypoints))

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What `YOLOXPoseHeadModule` gives."""
        outputs: tuple[Tensor, ...] = self.head_module(features)
        return outputs

    def decode(self, outputs: tuple[Tensor, ...], height: int, width: int) -> tuple[Candidates, ...]:
        """The candidates of all maps in one group; their boxes may reach out of the input, as the original's."""
        levels = len(self.prior_generator.strides)
        points = self.prior_generator(outputs[:levels])
        channels = (self.num_classes, 1, 4, 2 * self.num_keypoints, self.num_keypoints)
        classes, objects, boxes, offsets, visibilities = (
            by_prior(outputs[first : first + levels], count)
            for first, count in zip(range(0, len(outputs), levels), channels, strict=True)
        )
        point, stride = torch.cat(points), self.prior_generator.strides_of(points)
        return (
            Candidates(
                boxes=_decode_boxes(boxes, point, stride),
                scores=classes.sigmoid() * objects.sigmoid(),
                extras={"keypoints": _decode_keypoints(offsets, visibilities, point, stride)},
            ),
        )


def _apply(layers: nn.ModuleList, features: Sequence[Tensor]) -> list[Tensor]:
    """Each feature map, transformed by the layer of its own."""
    return [layer(feature) for layer, feature in zip(layers, features, strict=True)]


def _decode_boxes(prediction: Tensor, point: Tensor, stride: Tensor) -> Tensor:
    """The boxes, `[b, n, 4]`, given their centres, relative to the points, and the logarithms of their sizes."""
    shift, stretch = prediction.chunk(2, dim=-1)
    center = shift * stride + point
    half_size = stretch.exp() * (stride / 2)
    return torch.cat([center - half_size, center + half_size], dim=-1)


def _decode_keypoints(offsets: Tensor, visibilities: Tensor, point: Tensor, stride: Tensor) -> Tensor:
    """The key points, `[b, n, k, 3]`, given their offsets to the points, in strides, and their raw scores."""
    xy = torch.unflatten(offsets, -1, (-1, 2)) * stride.unsqueeze(-1) + point.unsqueeze(-2)
    return torch.cat([xy, visibilities.sigmoid().unsqueeze(-1)], dim=-1)
