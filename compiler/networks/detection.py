"""Models that find objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler.selection.candidates import Candidates


class DenseHead(Protocol):
    """A module that predicts something for every anchor or point at once, and knows where those lie."""

    def __call__(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The raw outputs for feature maps, as a flat tuple."""

    def decode(self, outputs: tuple[Tensor, ...], height: int, width: int) -> tuple[Candidates, ...]:
        """Turn raw outputs into candidates; see `SingleStageDetector.decode`."""


class SingleStageDetector(nn.Module):
    """A backbone, a neck where there is one, and a head that predicts a box for every anchor or point at once.

    Takes `[n, 3, h, w]`, h and w multiples of the coarsest stride of the backbone, and gives the head's raw outputs as
    a flat tuple.

    Args:
        backbone: Takes images, gives a tuple of feature maps.
        bbox_head: Takes feature maps, gives a tuple of tensors, and decodes them.
        neck: Takes feature maps, gives feature maps.
    """

    def __init__(self, backbone: nn.Module, bbox_head: DenseHead, neck: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = nn.Identity() if neck is None else neck
        self.bbox_head = bbox_head

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The raw outputs for the normalised `images`."""
        return self.bbox_head(self.neck(self.backbone(images)))

    def decode(self, outputs: tuple[Tensor, ...], height: int, width: int) -> tuple[Candidates, ...]:
        """Turn raw outputs into boxes and scores, before any of them is selected.

        Args:
            outputs: What `forward` gives.
            height: Of the network's input, in pixels.
            width: Of the network's input, in pixels.

        Returns:
            One group for all that OpenMMLab chooses the best of together: a feature map, or all of them.
        """
        return self.bbox_head.decode(outputs, height, width)
