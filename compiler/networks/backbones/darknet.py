"""Darknet-53, the backbone of YOLOv3 (arXiv:1804.02767)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from compiler.networks.layers.conv import ConvModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# For each depth, the channels that a stage ends in and the number of its residual blocks.
_ARCHITECTURES = MappingProxyType({53: ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))})


class ResBlock(nn.Module):
    """Halve the channels, then restore them with a 3x3 convolution, and add the input.

    Takes and gives `[n, in_channels, h, w]`.

    Args:
        in_channels: Even number of channels.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.
    """

    def __init__(
        self,
        in_channels: int,
        norm_cfg: Mapping[str, Any] | None = None,
        act_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        hidden_channels = in_channels // 2
        self.conv1 = ConvModule(in_channels, hidden_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.conv2 = ConvModule(hidden_channels, in_channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of `x` and its residual."""
        residual: Tensor = self.conv2(self.conv1(x))
        return residual + x


class Darknet(nn.Module):
    """A convolution, and five stages that halve height and width, each followed by residual blocks.

    Takes `[n, 3, h, w]`; the output of stage i, `[n, 32 * 2**i, h / 2**i, w / 2**i]`, is given for each i in
    `out_indices`, where 0 is the first convolution.

    Args:
        depth: Number of layers, of which only 53 is known.
        out_indices: Which outputs are given.
        norm_cfg: As in `ConvModule`.
        act_cfg: As in `ConvModule`.

    Raises:
        ValueError: The depth, an index, the normalisation or the activation is not supported.
    """

    def __init__(
        self,
        depth: int = 53,
        out_indices: Sequence[int] = (3, 4, 5),
        *,
        norm_cfg: Mapping[str, Any] = MappingProxyType({"type": "BN"}),
        act_cfg: Mapping[str, Any] = MappingProxyType({"type": "LeakyReLU", "negative_slope": 0.1}),
    ) -> None:
        super().__init__()
        if depth not in _ARCHITECTURES:
            raise ValueError(f"depth {depth} is not supported, only {', '.join(map(str, _ARCHITECTURES))}")
        stages = _ARCHITECTURES[depth]
        if not set(out_indices) <= set(range(len(stages) + 1)):
            raise ValueError(f"out_indices {tuple(out_indices)} must lie between 0 and {len(stages)}")
        self.out_indices = tuple(out_indices)
        common: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.conv1 = ConvModule(3, 32, 3, padding=1, **common)
        self.layers = ["conv1"]
        in_channels = 32
        for number, (channels, num_blocks) in enumerate(stages, start=1):
            stage = nn.Sequential()
            stage.add_module("conv", ConvModule(in_channels, channels, 3, stride=2, padding=1, **common))
            for block in range(num_blocks):
                stage.add_module(f"res{block}", ResBlock(channels, **common))
            self.layers.append(f"conv_res_block{number}")
            self.add_module(self.layers[-1], stage)
            in_channels = channels

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The feature maps of `x` at `out_indices`, finest first."""
        outputs = []
        for index, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)
