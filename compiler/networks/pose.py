"""Models that find key points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from compiler.networks.detection import DenseHead
    from compiler.selection.candidates import Candidates


class PoseEstimator(nn.Module):
    """A backbone, a neck where there is one, and a head.

    Takes `[n, 3, h, w]` and gives the head's raw outputs as a flat tuple.

    Args:
        backbone: Takes images, gives a tuple of feature maps.
        head: Takes feature maps, gives a tuple of tensors.
        neck: Takes feature maps, gives feature maps.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, neck: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = nn.Identity() if neck is None else neck
        self.head: Callable[..., tuple[Tensor, ...]] = head

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The raw outputs for the normalised `images`."""
        return self.head(self.neck(self.backbone(images)))


class TopdownPoseEstimator(PoseEstimator):
    """Finds the key points of one person in a crop; the raw outputs of an `RTMCCHead` are `(simcc_x, simcc_y)`."""


class BottomupPoseEstimator(PoseEstimator):
    """Finds everybody in an image at once, each with a box and key points, so its head can decode its own outputs."""

    head: DenseHead

    def decode(self, outputs: tuple[Tensor, ...], height: int, width: int) -> tuple[Candidates, ...]:
        """Turn raw outputs into boxes, scores and key points: see `SingleStageDetector.decode`."""
        return self.head.decode(outputs, height, width)
