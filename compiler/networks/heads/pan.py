"""The head that PAN (arXiv:1908.05900) and PSENet (arXiv:1903.12473) share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class PANHead(nn.Module):
    """Two convolutions of all feature maps together.

    Takes feature maps of one size, `[n, in_channels[i], h, w]`, and gives `[n, out_channel, h, w]`, logits and
    embeddings. PAN's are those of a text, of its kernel, and the four numbers by which pixels find theirs. PSENet's,
    whose head OpenMMLab calls `PSEHead`, are those of a text and of ever smaller kernels in it.

    Args:
        in_channels: Channels of the maps.
        hidden_dim: Channels between the convolutions.
        out_channel: Channels of the output.
    """

    def __init__(self, in_channels: Sequence[int], hidden_dim: int, out_channel: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(sum(in_channels), hidden_dim, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(hidden_dim)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(hidden_dim, out_channel, 1)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor]:
        """The output for `features`."""
        hidden = self.relu1(self.bn1(self.conv1(torch.cat(list(features), dim=1))))
        return (self.conv2(hidden),)
