"""Crop boxes out of an image, all to one size, and map points back: the arithmetic of MMPose's top-down models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from compiler.spans import Span
from compiler.tasks.warping import warp_affine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler.config.sizes import Size
    from compiler.tasks.images import Image

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Crops:
    """Regions of an image, each with the aspect ratio of the network's input.

    Attributes:
        centers: `[n, 2]`, x and y in pixels of the image.
        scales: `[n, 2]`, width and height in pixels of the image.
        size: Width and height that every region is scaled to.
        use_udp: Lay the first and last pixels of a crop on the edges of its region, instead of a pixel's width apart
            from them on the right and below (UDP, arXiv:1911.07524).
    """

    centers: Floats
    scales: Floats
    size: tuple[int, int]
    use_udp: bool = False

    def warp(self, image: Image) -> list[Image]:
        """The regions as `[height, width, 3]` images; what lies outside the image is black."""
        return [warp_affine(image, matrix, self.size) for matrix in self.matrices()]

    def matrices(self) -> list[NDArray[np.float64]]:
        """For each region, the `[2, 3]` affine matrix from the image to the crop."""
        if self.use_udp:
            return self._unbiased_matrices()
        width, height = self.size
        target = _three_points(np.array([width / 2, height / 2], np.float32), width)
        return [
            np.asarray(cv2.getAffineTransform(_three_points(center, scale[0]), target), np.float64)
            for center, scale in zip(self.centers, self.scales, strict=True)
        ]

    def _unbiased_matrices(self) -> list[NDArray[np.float64]]:
        """The matrices that scale each region by the steps between pixels, one fewer than the pixels."""
        matrices = np.zeros((len(self.centers), 2, 3), np.float32)
        # In single precision and in this order, as MMPose does it: matrices agree to the last bit.
        factors = (np.array(self.size, np.float32) - 1) / self.scales
        matrices[:, 0, 0], matrices[:, 1, 1] = factors.T
        matrices[:, :, 2] = factors * (np.float32(-0.5) * (self.centers * 2) + np.float32(0.5) * self.scales)
        return list(matrices.astype(np.float64))

    def to_image(self, points: Floats) -> Floats:
        """Map points in the crops, `[n, k, 2]`, back to the image.

        Points are fractions of the region, times `size`, with UDP too: its codec divides by the steps between pixels.
        """
        # In double precision and in this order, as MMPose does it: results agree to the last bit.
        centers, scales = self.centers[:, None].astype(np.float64), self.scales[:, None].astype(np.float64)
        return np.asarray(points / np.array(self.size) * scales + centers - 0.5 * scales, np.float32)


def crops_around(
    boxes: NDArray[np.floating[Any]], size: tuple[int, int], padding: float, use_udp: bool = False
) -> Crops:
    """The regions around boxes, enlarged by `padding` and then widened or heightened to the aspect of `size`.

    Args:
        boxes: `[n, 4]`, x1, y1, x2, y2 in pixels of the image.
        size: Width and height of the network's input.
        padding: Factor on width and height.
        use_udp: See `Crops`.
    """
    boxes = boxes.astype(np.float32)
    scales = (boxes[:, 2:] - boxes[:, :2]) * np.float32(padding)
    centers = (boxes[:, 2:] + boxes[:, :2]) * np.float32(0.5)
    aspect = size[0] / size[1]
    width, height = scales[:, :1], scales[:, 1:]
    wide, tall = np.hstack([width, width / aspect]), np.hstack([height * aspect, height])
    return Crops(centers, np.where(width > height * aspect, wide, tall), size, use_udp)


@Span("normalise")
def to_tensor(
    images: Sequence[Image],
    mean: Sequence[float],
    std: Sequence[float],
    to_rgb: bool,
    size: Size | None = None,
    pad_value: int | None = None,
) -> Floats:
    """Equally large BGR images as one normalised `[n, 3, h, w]` tensor.

    Args:
        images: At least one.
        mean: Of each channel, in the order of the tensor's channels.
        std: Of each channel, likewise.
        to_rgb: Reverse the channels.
        size: Height and width of the tensor, whose upper left they become; None for their own.
        pad_value: The level of what is then right of them and below, which is normalised too; None for 0 afterwards.
    """
    height, width = images[0].shape[:2]
    tensor = np.empty((len(images), 3, *(size or (height, width))), np.float32)
    levels = np.arange(256, dtype=np.float32)[:, None]
    # A level is normalised once, and not in each pixel that has it.
    normalised = np.ascontiguousarray(((levels - np.array(mean, np.float32)) / np.array(std, np.float32)).T)
    beyond = np.zeros(3, np.float32) if pad_value is None else normalised[:, pad_value]
    for item, image in zip(tensor, images, strict=True):
        planes = cv2.split(image)[::-1] if to_rgb else cv2.split(image)
        for target, plane, table, value in zip(item, planes, normalised, beyond, strict=True):
            cv2.LUT(plane, table, dst=target[:height, :width])
            target[height:] = value
            target[:height, width:] = value
    return tensor


def _three_points(center: Floats, width: float) -> Floats:
    """The centre, the middle of the left edge, and that edge's end if the region were square: `[3, 2]`.

    Three points fix an affine map. These, in single precision, are MMPose's, and hence so are the map's last bits.
    """
    left = (center + np.array([-0.5 * float(width), 0.0])).astype(np.float32)
    toward = center - left
    corner = left + np.array([-toward[1], toward[0]], np.float32)
    return np.stack([center, left, corner]).astype(np.float32)
