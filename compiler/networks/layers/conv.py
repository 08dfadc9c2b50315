"""A convolution with its normalisation and activation, the brick that most networks here are made of."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "ReLU": nn.ReLU,
    "ReLU6": nn.ReLU6,
    "LeakyReLU": nn.LeakyReLU,
    "SiLU": nn.SiLU,
    "Sigmoid": nn.Sigmoid,
    "Swish": nn.SiLU,
}
_BATCH_NORMS: dict[str, type[nn.BatchNorm1d] | type[nn.BatchNorm2d]] = {
    "BN": nn.BatchNorm2d,
    "BN1d": nn.BatchNorm1d,
    "BN2d": nn.BatchNorm2d,
    "SyncBN": nn.BatchNorm2d,
}
# What matters only to training: accepted, so that a config written for training can be read, and ignored.
_TRAINING_ONLY = {"inplace", "requires_grad"}


def build_activation(act_cfg: Mapping[str, Any]) -> nn.Module:
    """Build an activation from a config such as `{"type": "SiLU"}`.

    Activations are never in place: a tracer and a rewriter then see a graph without hidden writes.

    Raises:
        ValueError: The type is not one that is supported.
    """
    options = {key: value for key, value in act_cfg.items() if key not in _TRAINING_ONLY}
    kind = options.pop("type", None)
    if kind not in _ACTIVATIONS:
        raise ValueError(f"activation {kind!r} is not supported, only {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[kind](**options)


def build_norm(norm_cfg: Mapping[str, Any], channels: int) -> nn.BatchNorm1d | nn.BatchNorm2d:
    """Build a batch normalisation of `channels` from a config such as `{"type": "BN", "eps": 0.001}`.

    `SyncBN` differs from `BN` only in how several processes train it, so it is built as a plain one.

    Raises:
        ValueError: The type is not a batch normalisation.
    """
    options = {key: value for key, value in norm_cfg.items() if key not in _TRAINING_ONLY}
    kind = options.pop("type", None)
    if kind not in _BATCH_NORMS:
        raise ValueError(f"normalisation {kind!r} is not supported, only {', '.join(_BATCH_NORMS)}")
    return _BATCH_NORMS[kind](channels, **options)


class ConvModule(nn.Module):
    """Convolution, then normalisation and activation where their configs are given.

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h', w']`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the square kernel.
        stride: Step of the kernel.
        padding: Zeros added on each side.
        groups: Groups of channels convolved apart from each other.
        norm_cfg: `{"type": "BN" or "SyncBN", ...}`, or None for none.
        act_cfg: As in `build_activation`, or None for none.
        bias: Whether the convolution has a bias; `auto`, only where no normalisation follows, whose own bias would make
            it redundant.

    Raises:
        ValueError: The normalisation or activation is not supported.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        *,
        groups: int = 1,
        bias: bool | Literal["auto"] = "auto",
        norm_cfg: Mapping[str, Any] | None = None,
        act_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        with_bias = norm_cfg is None if bias == "auto" else bias
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=with_bias)
        self.bn = nn.Identity() if norm_cfg is None else build_norm(norm_cfg, out_channels)
        self.activate = nn.Identity() if act_cfg is None else build_activation(act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """The activated, normalised convolution of `x`."""
        activated: Tensor = self.activate(self.bn(self.conv(x)))
        return activated


class DepthwiseSeparableConvModule(nn.Module):
    """A convolution of each channel alone, then one across channels at each pixel (MobileNet, arXiv:1704.04861).

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h', w']`; the arguments are those of `ConvModule`, and
    `dw_act_cfg` is the `act_cfg` of the first convolution where it differs from that of the second.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        *,
        norm_cfg: Mapping[str, Any] | None = None,
        act_cfg: Mapping[str, Any] | None = None,
        dw_act_cfg: Mapping[str, Any] | Literal["default"] | None = "default",
    ) -> None:
        super().__init__()
        self.depthwise_conv = ConvModule(
            in_channels,
            in_channels,
            kernel_size,
            stride,
            padding,
            groups=in_channels,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg if dw_act_cfg == "default" else dw_act_cfg,
        )
        self.pointwise_conv = ConvModule(in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """The pointwise convolution of the depthwise convolution of `x`."""
        mixed: Tensor = self.pointwise_conv(self.depthwise_conv(x))
        return mixed


def conv_tower(
    in_channels: int,
    feat_channels: int,
    stacked_convs: int,
    *,
    norm_cfg: Mapping[str, Any] | None = None,
    act_cfg: Mapping[str, Any] | None = None,
) -> nn.Sequential:
    """A tower of `stacked_convs` 3x3 convolutions from `in_channels` to `feat_channels` that keep height and width."""
    widths = [in_channels] + [feat_channels] * stacked_convs
    return nn.Sequential(
        *(ConvModule(*channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg) for channels in pairwise(widths))
    )
