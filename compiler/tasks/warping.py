"""OpenCV's warp and resize, given only what they can hold: beyond that they end the process."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from compiler.errors import CompileError
from compiler.spans import Span

LARGEST_ARRAY = 2**31 - 1
"""Bytes: places in an image are counted in 32 bits."""
LONGEST_SIDE = 2**15 - 2
"""Pixels: places that a warp reads from are counted in 16 bits, with one to spare."""


@Span("warp")
def warp_affine(
    image: NDArray[np.uint8], matrix: NDArray[Any], size: tuple[int, int], **options: Any
) -> NDArray[np.uint8]:
    """`cv2.warpAffine`, bilinear unless `flags` says otherwise.

    Args:
        image: `[h, w, 3]`.
        matrix: `[2, 3]`.
        size: Width and height of the result.
        options: OpenCV's own.

    Raises:
        CompileError: A side or all pixels together are more than OpenCV can warp, or the matrix is not finite.
    """
    _check("warped", image, size, longest=LONGEST_SIDE)
    if not np.isfinite(matrix).all():
        raise CompileError("the image cannot be warped", why=f"the map is not finite: {np.asarray(matrix).tolist()}")
    return np.asarray(cv2.warpAffine(image, matrix, size, **{"flags": cv2.INTER_LINEAR, **options}), np.uint8)


@Span("resize")
def resize(image: NDArray[Any], size: tuple[int, int]) -> NDArray[np.uint8]:
    """`cv2.resize`, bilinear.

    Args:
        image: `[h, w]` or `[h, w, 3]`, of uint8.
        size: Width and height of the result.

    Raises:
        CompileError: The image or the result is more than OpenCV can hold.
    """
    _check("resized", image, size, longest=LARGEST_ARRAY)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _check(what: str, image: NDArray[Any], size: tuple[int, int], longest: int) -> None:
    """Refuse an image or a result that has no pixels, a side that is too long or too many bytes."""
    height, width = image.shape[:2]
    depth = image.itemsize * (image.shape[2] if image.ndim == 3 else 1)
    for name, sides in (("it", (width, height)), ("the result", size)):
        shown = f"{name} is {sides[0]} x {sides[1]} pixels"
        if min(sides) < 1 or max(sides) > longest:
            why = f"{shown}, and OpenCV takes sides from 1 to {longest:,}"
        elif sides[0] * sides[1] * depth > LARGEST_ARRAY:
            why = f"{shown}, and OpenCV holds no more than {LARGEST_ARRAY // (depth * 1_000_000)} megapixels"
        else:
            continue
        raise CompileError(f"the image cannot be {what}", why=why, fix="scale it down, or cut it into parts")
