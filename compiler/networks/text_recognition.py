"""Models that read a line of text."""

from __future__ import annotations

from torch import Tensor, nn


class TextRecognizer(nn.Module):
    """A backbone and a decoder.

    Takes `[n, c, h, w]`, each item one word or line of text, and gives the decoder's raw output as a tuple of one.

    Args:
        backbone: Takes images, gives one feature map.
        decoder: Takes a feature map, gives the probabilities of characters, `[n, t, classes]`.
    """

    def __init__(self, backbone: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.decoder = decoder

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """The raw output for the normalised `images`."""
        return (self.decoder(self.backbone(images)),)
