"""The head of CenterPoint (arXiv:2006.11275): a heat map of centres, and what the box around each is like."""

from __future__ import annotations

from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from compiler.networks.layers.conv import ConvModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PLAIN_NORM = MappingProxyType({"type": "BN2d"})
_RELU = MappingProxyType({"type": "ReLU"})


class SeparateHead(nn.Module):
    """Convolutions of its own for everything that is predicted.

    Takes `[n, in_channels, h, w]` and gives one map for each of `heads`, `[n, channels, h, w]`.

    Args:
        in_channels: Channels of the input.
        heads: The channels of each map and the number of convolutions that lead to it, by name.
        head_conv: Channels between the convolutions.
        final_kernel: Odd side of their square kernels.
        norm_cfg: As in `ConvModule`, of all but the last.

    Raises:
        ValueError: The normalisation is not supported.
    """

    def __init__(
        self,
        in_channels: int,
        heads: Mapping[str, tuple[int, int]],
        head_conv: int = 64,
        final_kernel: int = 1,
        *,
        norm_cfg: Mapping[str, Any] = _PLAIN_NORM,
    ) -> None:
        super().__init__()
        self.heads = tuple(heads)
        padding = final_kernel // 2
        for name, (channels, num_conv) in heads.items():
            widths = [in_channels] + [head_conv] * (num_conv - 1)
            layers: list[nn.Module] = [
                ConvModule(*width, final_kernel, padding=padding, norm_cfg=norm_cfg, act_cfg=_RELU)
                for width in pairwise(widths)
            ]
            layers.append(nn.Conv2d(widths[-1], channels, final_kernel, padding=padding))
            self.add_module(name, nn.Sequential(*layers))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The maps of `x`, in the order of `heads`."""
        return tuple(self.get_submodule(name)(x) for name in self.heads)


class CenterHead(nn.Module):
    """A convolution that is shared, and a `SeparateHead` for each group of classes that are alike, called a task.

    Takes one feature map, `[n, in_channels, h, w]`, in a sequence. Gives for each task the maps of `common_heads`, and
    then the heat maps of its classes, `[n, classes, h, w]`, as unnormalised scores.

    Args:
        in_channels: Channels of the feature map.
        tasks: The names of each task's classes, as `class_names`.
        common_heads: As `heads` in `SeparateHead`: what is predicted besides the heat maps.
        share_conv_channel: Channels of the shared convolution.
        num_heatmap_convs: Convolutions that lead to a heat map.
        final_kernel: As in `SeparateHead`.
        norm_cfg: As in `ConvModule`.

    Raises:
        ValueError: The normalisation is not supported.
    """

    def __init__(
        self,
        in_channels: int,
        tasks: Sequence[Mapping[str, Any]],
        common_heads: Mapping[str, tuple[int, int]],
        share_conv_channel: int = 64,
        num_heatmap_convs: int = 2,
        final_kernel: int = 3,
        *,
        norm_cfg: Mapping[str, Any] = _PLAIN_NORM,
    ) -> None:
        super().__init__()
        self.shared_conv = ConvModule(in_channels, share_conv_channel, 3, padding=1, norm_cfg=norm_cfg, act_cfg=_RELU)
        heads = [{**common_heads, "heatmap": (len(task["class_names"]), num_heatmap_convs)} for task in tasks]
        self.task_heads = nn.ModuleList(
            SeparateHead(share_conv_channel, maps, final_kernel=final_kernel, norm_cfg=norm_cfg) for maps in heads
        )

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The maps of every task, for the one feature map in `features`."""
        (feature,) = features
        shared = self.shared_conv(feature)
        return tuple(output for head in self.task_heads for output in head(shared))
