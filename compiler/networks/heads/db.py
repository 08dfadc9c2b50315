"""The head of DBNet, differentiable binarization (arXiv:1911.08947)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class DBHead(nn.Module):
    """Tell for each pixel of the image how likely it is to lie in the inner part of a text.

    Takes one feature map, `[n, in_channels, h, w]`, and gives the probabilities, `[n, 4 * h, 4 * w]`. A second branch,
    `threshold`, gives the probability from which a pixel counts: only training needs it, so that `forward` leaves it
    out.

    Args:
        in_channels: Channels of the feature map, a multiple of four.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.binarize = nn.Sequential(*_enlarging(in_channels))
        self.threshold = nn.Sequential(*_enlarging(in_channels), nn.Sigmoid())

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor]:
        """The probabilities for the only one of `features`."""
        (feature,) = features
        return (torch.sigmoid(self.binarize(feature).squeeze(1)),)


def _enlarging(in_channels: int) -> list[nn.Module]:
    """What makes one channel, four times as high and wide, out of `in_channels`."""
    channels = in_channels // 4
    return [
        nn.Conv2d(in_channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.ConvTranspose2d(channels, channels, 2, stride=2),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.ConvTranspose2d(channels, 1, 2, stride=2),
    ]
