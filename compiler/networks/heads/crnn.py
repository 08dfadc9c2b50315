"""The decoder of CRNN (arXiv:1507.05717): each column of the feature map becomes the probabilities of characters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_HIDDEN_CHANNELS = 256


class BidirectionalLSTM(nn.Module):
    """A recurrent layer that reads a sequence from both ends, and a projection of what it remembers at each step.

    Takes `[t, n, in_channels]` and gives `[t, n, out_channels]`.

    Args:
        in_channels: Channels of the input.
        hidden_channels: What each direction remembers.
        out_channels: Channels of the output.
    """

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(in_channels, hidden_channels, bidirectional=True)
        self.embedding = nn.Linear(2 * hidden_channels, out_channels)

    def forward(self, sequence: Tensor) -> Tensor:
        """The projected states at each step of `sequence`."""
        states, _ = self.rnn(sequence)
        projected: Tensor = self.embedding(states)
        return projected


class CRNNDecoder(nn.Module):
    """Tells the character in each column, or that none ends there (CTC's blank, the last class).

    Takes `[n, in_channels, 1, w]` and gives `[n, w, num_classes]`, probabilities that add up to one in each column.

    Args:
        in_channels: Channels of the feature map.
        num_classes: Number of characters in the dictionary, and one for the blank.
        rnn_flag: Whether columns are read in their order, by two `BidirectionalLSTM`, or each alone, by a convolution.
    """

    def __init__(self, in_channels: int, num_classes: int, rnn_flag: bool = False) -> None:
        super().__init__()
        self.rnn_flag = rnn_flag
        self.decoder = (
            nn.Sequential(
                BidirectionalLSTM(in_channels, _HIDDEN_CHANNELS, _HIDDEN_CHANNELS),
                BidirectionalLSTM(_HIDDEN_CHANNELS, _HIDDEN_CHANNELS, num_classes),
            )
            if rnn_flag
            else nn.Conv2d(in_channels, num_classes, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """The probabilities of characters in each column of `features`."""
        return torch.softmax(self.logits(features), dim=-1)

    def logits(self, features: Tensor) -> Tensor:
        """The probabilities' logarithms up to a constant in each column, `[n, w, num_classes]`."""
        if not self.rnn_flag:
            scores: Tensor = self.decoder(features)
            return scores.squeeze(2).transpose(1, 2)
        columns = features.squeeze(2).permute(2, 0, 1)
        read: Tensor = self.decoder(columns)
        return read.transpose(0, 1)
