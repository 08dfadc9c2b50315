"""Models that find key points."""

from __future__ import annotations

from torch import Tensor, nn


class TopdownPoseEstimator(nn.Module):
    """A backbone, a neck where there is one, and a head, on the crop of one person.

    Takes `[n, 3, h, w]` and gives the head's raw outputs as a flat tuple: for an `RTMCCHead`, `(simcc_x, simcc_y)`.

    Args:
        backbone: Takes images, gives a tuple of feature maps.
        head: Takes feature maps, gives a tuple of tensors.
        neck: Takes feature maps, gives feature maps.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, neck: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = nn.Identity() if neck is None else neck
        self.head = head

    def forward(self, input: Tensor) -> tuple[Tensor, ...]:
        """Return the raw outputs for the normalised crops `input`."""
        outputs: tuple[Tensor, ...] = self.head(self.neck(self.backbone(input)))
        return outputs
