"""Images are resized, padded and laid out as MMCV and MMPose do it, and results find the way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.tasks.crops import to_tensor
from compiler.tasks.resizing import letterbox, multiple, resize, scaled_size

SIDES = st.integers(1, 3000)


@pytest.fixture(scope="module")
def golden(parity):
    with np.load(parity / "detection_inputs.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("scale", [(1333, 800), (608, 608)])
def test_sizes_equal_mmcvs(golden, scale):
    expected = golden[f"rescaled.{scale[0]}x{scale[1]}"].tolist()
    assert [list(scaled_size(tuple(size), scale)) for size in golden["sizes"].tolist()] == expected


@pytest.mark.parametrize(
    ("size", "scale", "largest", "expected"),
    [
        ((640, 480), (1333, 800), None, (1067, 800)),  # the shorter side decides: 800 / 480
        ((480, 640), (1333, 800), None, (800, 1067)),  # in either orientation
        ((2000, 500), (1333, 800), None, (1333, 333)),  # the longer side decides: 1333 / 2000
        ((640, 480), (1333, 800), (1344, 800), (1067, 800)),  # within what the engine takes
        ((480, 640), (1333, 800), (1344, 800), (600, 800)),  # too high for it: 800 / 640
        ((9000, 1), (640, 640), None, (640, 1)),  # never nothing
    ],
)
def test_sizes_by_hand(size, scale, largest, expected):
    assert scaled_size(size, scale, largest) == expected


@given(SIDES, SIDES, SIDES, SIDES)
def test_an_image_never_exceeds_what_the_engine_takes(width, height, most_wide, most_high):
    scaled = scaled_size((width, height), (1333, 800), (most_wide, most_high))
    assert 1 <= scaled[0] <= most_wide
    assert 1 <= scaled[1] <= most_high


def test_pixels_equal_mmcvs(golden):
    resized, _ = resize(golden["image"], scaled_size((37, 23), (64, 48)))
    np.testing.assert_array_equal(resized, golden["resized.64x48"])
    (padded,) = to_tensor([resized], mean=(0, 0, 0), std=(1, 1, 1), to_rgb=False, size=(64, 64), pad_value=114)
    np.testing.assert_array_equal(padded.transpose(1, 2, 0), golden["padded.64x64"])


def test_boxes_come_back_as_mmdetections(golden):
    _, placement = resize(golden["image"], (64, 40))
    boxes = placement.to_image(golden["boxes"].reshape(-1, 2, 2)).reshape(-1, 4)
    np.testing.assert_array_equal(boxes, golden["boxes.image"])


@pytest.mark.parametrize("orientation", ["wide", "high"])
def test_a_letterbox_equals_mmposes(golden, orientation):
    image = golden["image"] if orientation == "wide" else np.ascontiguousarray(golden["image"].transpose(1, 0, 2))
    laid, region = letterbox(image, (64, 96), 114)
    np.testing.assert_array_equal(laid, golden[f"letterbox.{orientation}"])
    points = region.to_image(golden[f"points.{orientation}"][None])[0]
    np.testing.assert_array_equal(points, golden[f"points.{orientation}.image"])


@given(st.integers(2, 90), st.integers(2, 90), st.integers(1, 3), st.integers(1, 3))
def test_the_corners_of_a_letterbox_are_those_of_the_image(width, height, columns, rows):
    size = (32 * columns, 32 * rows)
    _, region = letterbox(np.zeros((height, width, 3), np.uint8), size, 0)
    factor = min(size[0] / width, size[1] / height)
    middle = np.array(size) / 2
    half = np.array([width, height]) * factor / 2
    corners = region.to_image(np.array([[middle - half, middle + half]], np.float32))[0]
    np.testing.assert_allclose(corners, [[0, 0], [width, height]], atol=1e-3)


@given(SIDES, SIDES)
def test_a_corner_survives_the_way_there_and_back(width, height):
    size = scaled_size((width, height), (96, 64))
    _, placement = resize(np.zeros((height, width, 3), np.uint8), size)
    back = placement.to_image(np.array([[size]], np.float32))[0, 0]
    np.testing.assert_allclose(back, [width, height], rtol=1e-6)


@pytest.mark.parametrize(("side", "expected"), [(1, 32), (32, 32), (33, 64)])
def test_multiples_by_hand(side, expected):
    assert multiple(side, 32) == expected
