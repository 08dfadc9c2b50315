"""The convolution that learns where to look (DCNv2, arXiv:1811.11168)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ModulatedDeformConv2d(nn.Conv2d):
    """A convolution whose every tap looks somewhere else than the kernel says, by a shift and a weight of its own.

    Takes `[n, in_channels, h, w]` and gives `[n, out_channels, h', w']`, the size that a plain convolution gives. A
    second convolution of the same input, `conv_offset`, says for each output pixel and each of the `kernel_size**2`
    taps how many pixels further down and to the right the tap looks, and, through a sigmoid, how much it counts.
    Between pixels the input is interpolated bilinearly; outside of it are zeros.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the square kernel.
        stride: Step of the kernel.
        padding: Zeros added on each side.
        bias: Whether a number is added to each channel of the output.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0, *, bias: bool
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias=bias)
        taps = kernel_size**2
        self.conv_offset = nn.Conv2d(in_channels, 3 * taps, kernel_size, stride, padding)

    def forward(self, features: Tensor) -> Tensor:
        """The convolution of `features`."""
        taps = self.kernel_size[0] ** 2
        offset, mask = self.conv_offset(features).split([2 * taps, taps], dim=1)
        batch, _, height, width = mask.shape
        # Stacked on top of each other, the pixels of all taps are one tall image.
        sampled = F.grid_sample(features, self._grid(features, offset).flatten(1, 2), align_corners=False)
        weighted = sampled * mask.sigmoid().flatten(1, 2).unsqueeze(1)
        columns = weighted.reshape(batch, self.in_channels * taps, height, width)
        return F.conv2d(columns, self.weight.flatten(1)[:, :, None, None], self.bias)

    def _grid(self, features: Tensor, offset: Tensor) -> Tensor:
        """Where the taps look, `[n, taps, h', w', 2]`: x and y, from -1 to 1 over the whole `features`."""
        side = self.kernel_size[0]
        tap = torch.arange(side**2, device=features.device)
        height, width = features.shape[2:]
        rows, columns = offset.shape[2:]
        y = offset[:, 0::2] * (2 / height) + self._plain(tap // side, rows, height)[:, :, None]
        x = offset[:, 1::2] * (2 / width) + self._plain(tap % side, columns, width)[:, None, :]
        return torch.stack([x, y], dim=-1)

    def _plain(self, tap: Tensor, count: int, length: int) -> Tensor:
        """Where taps look without offsets, `[taps, count]`, from -1 to 1 over `length` pixels."""
        # In halves of a pixel, since its centre lies half a pixel behind its edge.
        first = 2 * (tap - int(self.padding[0])) + 1
        steps = torch.arange(count, device=tap.device) * (2 * self.stride[0])
        return (steps + first[:, None]) / length - 1
