"""What follows the raw outputs of networks that are no detectors; `compiler.selection.tail` follows a detector's."""

from __future__ import annotations

from torch import Tensor, nn


class LastOutput(nn.Module):
    """The last of several outputs: what networks with intermediate supervision are decoded from.

    Args:
        network: Gives a tuple.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """The last raw output for the normalised `images`."""
        return (self.network(images)[-1],)
