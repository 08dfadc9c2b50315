"""OpenCV is given only what it can hold: beyond that it ends the process instead of saying so."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from compiler.errors import CompileError
from compiler.tasks.warping import LARGEST_ARRAY, LONGEST_SIDE, resize, warp_affine

HALVED = np.array([[0.5, 0, 0], [0, 0.5, 0]])
SIZE = (4, 3)


def claimed(height: int, width: int) -> np.ndarray:
    """Return an image of any size that takes no memory: every pixel of it is the same one."""
    return np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3))


@pytest.mark.parametrize(
    ("image", "size", "why"),
    [
        (claimed(30_000, 30_000), SIZE, "it is 30000 x 30000 pixels, and OpenCV holds no more than 715 megapixels"),
        (claimed(LONGEST_SIDE + 1, 8), SIZE, "it is 8 x 32767 pixels, and OpenCV takes sides from 1 to 32,766"),
        (claimed(8, LONGEST_SIDE + 1), SIZE, "it is 32767 x 8 pixels"),
        (claimed(0, 8), SIZE, "it is 8 x 0 pixels"),
        (claimed(8, 8), (LONGEST_SIDE + 1, 1), "the result is 32767 x 1 pixels"),
        (claimed(8, 8), (30_000, 30_000), "the result is 30000 x 30000 pixels"),
    ],
)
def test_a_warp_beyond_what_opencv_holds_is_refused(image, size, why):
    with pytest.raises(CompileError, match="the image cannot be warped") as caught:
        warp_affine(image, HALVED, size)
    assert why in caught.value.why


def test_a_warp_by_what_is_no_map_is_refused():
    with pytest.raises(CompileError, match="not finite"):
        warp_affine(np.zeros((8, 8, 3), np.uint8), HALVED * np.nan, SIZE)


def test_the_longest_side_is_warped_as_opencv_does_it():
    image = np.random.default_rng(0).integers(0, 255, (2, LONGEST_SIDE, 3), np.uint8)
    expected = cv2.warpAffine(image, HALVED, SIZE, flags=cv2.INTER_LINEAR, borderValue=(9, 9, 9))
    np.testing.assert_array_equal(warp_affine(image, HALVED, SIZE, borderValue=(9, 9, 9)), expected)


@pytest.mark.parametrize(
    ("image", "size"),
    [(claimed(30_000, 30_000), SIZE), (claimed(8, 8), (10**9, 10**9)), (claimed(8, 8), (0, 3)), (claimed(0, 3), SIZE)],
)
def test_a_resize_beyond_what_opencv_holds_is_refused(image, size):
    with pytest.raises(CompileError, match="the image cannot be resized"):
        resize(image, size)


def test_a_long_strip_is_resized_as_opencv_does_it():
    image = np.random.default_rng(0).integers(0, 255, (2, 40_000, 3), np.uint8)
    np.testing.assert_array_equal(resize(image, SIZE), cv2.resize(image, SIZE))
    assert resize(image[..., 0], SIZE).shape == (3, 4)
    assert np.iinfo(np.int32).max == LARGEST_ARRAY
