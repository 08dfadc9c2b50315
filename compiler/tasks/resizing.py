"""Lay whole images into a network's input, and map what is found there back: as MMDetection and MMPose do it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from compiler.tasks import warping
from compiler.tasks.crops import Crops

if TYPE_CHECKING:
    from compiler.tasks.images import Image

Floats = NDArray[np.float32]


class Placement(Protocol):
    """Where an image lies in a network's input."""

    def to_image(self, points: Floats) -> Floats:
        """Map points in the network's input, `[n, k, 2]`, to the image."""


@dataclass(frozen=True)
class Scaled:
    """An image in the upper left corner.

    Attributes:
        factors: By which its width and height were multiplied.
    """

    factors: tuple[float, float]

    def to_image(self, points: Floats) -> Floats:
        """Map points in the network's input, `[n, k, 2]`, to the image."""
        # Multiplied by the inverse in single precision, as MMDetection does it: results agree to the last bit.
        return np.asarray(points * (1 / np.array(self.factors)).astype(np.float32), np.float32)


def scaled_size(
    size: tuple[int, int], scale: tuple[int, int], largest: tuple[int, int] | None = None
) -> tuple[int, int]:
    """The width and height to which MMDetection's `Resize` brings an image and keeps its aspect ratio.

    Args:
        size: The image's width and height.
        scale: What its longer and its shorter side may become, in any order.
        largest: A width and height that it may not exceed, if there are such.
    """
    factor = min(max(scale) / max(size), min(scale) / min(size))
    if largest is not None:
        factor = min(factor, largest[0] / size[0], largest[1] / size[1])
    # A strip whose shorter side would vanish keeps one pixel of it.
    width, height = (max(int(side * factor + 0.5), 1) for side in size)
    return width, height


def resize(image: Image, size: tuple[int, int]) -> tuple[Image, Scaled]:
    """An image at another width and height, and where it lies then."""
    height, width = image.shape[:2]
    return warping.resize(image, size), Scaled((size[0] / width, size[1] / height))


def letterbox(image: Image, size: tuple[int, int], value: int) -> tuple[Image, Crops]:
    """Scale an image as large as fits, lay it into the middle, and fill the rest: MMPose's `BottomupResize`.

    Args:
        image: `[h, w, 3]`.
        size: Width and height of the result.
        value: Level of the pixels around the image.

    Returns:
        The result, and the region of the image that it shows.
    """
    height, width = image.shape[:2]
    ratio = width / height
    # In double precision and in this order, as MMPose does it: results agree to the last bit.
    fitting = min(size[0], size[1] * ratio), min(size[1], size[0] / ratio)
    scale = np.array([[width * size[0] / fitting[0], height * size[1] / fitting[1]]], np.float32)
    region = Crops(np.array([[width / 2, height / 2]], np.float32), scale, size)
    (matrix,) = region.matrices()
    return warping.warp_affine(image, matrix, size, borderValue=(value, value, value)), region


def multiple(side: int, divisor: int) -> int:
    """The smallest multiple of `divisor` that is at least `side`."""
    return math.ceil(side / divisor) * divisor
