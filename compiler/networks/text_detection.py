"""Models that find text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


class TextDetector(nn.Module):
    """A backbone, a neck and a head that says of each pixel whether it belongs to a text.

    Takes `[n, 3, h, w]`, h and w multiples of 32, and gives the head's raw outputs as a flat tuple.

    Args:
        backbone: Takes images, gives a tuple of feature maps.
        neck: Takes feature maps, gives a tuple of feature maps.
        det_head: Takes feature maps, gives a tuple of tensors.
    """

    def __init__(self, backbone: nn.Module, neck: nn.Module, det_head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.det_head: Callable[..., tuple[Tensor, ...]] = det_head

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The raw outputs for the normalised `images`."""
        return self.det_head(self.neck(self.backbone(images)))
