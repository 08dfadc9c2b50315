"""Crops are MMPose's, and points find their way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.tasks.crops import Crops, crops_around, to_tensor

SIZES = st.sampled_from([(192, 256), (288, 384), (256, 256)])
BOXES = st.tuples(st.floats(-500, 4000), st.floats(-500, 4000), st.floats(4, 4000), st.floats(4, 4000)).map(
    lambda values: np.array([[values[0], values[1], values[0] + values[2], values[1] + values[3]]])
)


def test_geometry_equals_mmposes_to_the_last_bit(parity):
    with np.load(parity / "topdown.npz") as file:
        golden = dict(file)
    for index, size in enumerate(map(tuple, golden["sizes"].tolist())):
        crops = crops_around(golden["boxes"][index][None], size, 1.25)
        np.testing.assert_array_equal(crops.centers[0], golden["centers"][index])
        np.testing.assert_array_equal(crops.scales[0], golden["scales"][index])
        np.testing.assert_allclose(crops.matrices()[0], golden["matrices"][index], rtol=1e-12, atol=1e-9)
        np.testing.assert_array_equal(crops.to_image(golden["points"][index][None])[0], golden["mapped"][index])


def test_unbiased_matrices_equal_mmposes_to_the_last_bit(parity):
    with np.load(parity / "decode" / "udp_crop.npz") as file:
        golden = dict(file)
    for index, size in enumerate(map(tuple, golden["sizes"].tolist())):
        crops = crops_around(golden["boxes"][index][None], size, 1.25, use_udp=True)
        np.testing.assert_array_equal(crops.centers[0], golden["centers"][index])
        np.testing.assert_array_equal(crops.scales[0], golden["scales"][index])
        np.testing.assert_array_equal(crops.matrices()[0], golden["matrices"][index])


@given(BOXES, SIZES)
def test_the_first_and_last_pixels_of_an_unbiased_crop_lie_on_its_edges(boxes, size):
    crops = crops_around(boxes, size, 1.25, use_udp=True)
    corners = crops.centers + np.array([[-0.5], [0.5]]) * crops.scales
    inside = corners @ crops.matrices()[0][:, :2].T + crops.matrices()[0][:, 2]
    # Single precision: a few ulps of the coordinates, seen through the scale.
    tolerance = 1e-6 * (1 + np.abs(corners).max() * max(size) / crops.scales.min())
    np.testing.assert_allclose(inside, [[0, 0], np.subtract(size, 1)], rtol=0, atol=tolerance)


@given(BOXES, SIZES)
def test_the_crop_holds_the_padded_box_and_has_the_inputs_aspect(boxes, size):
    crops = crops_around(boxes, size, 1.25)
    (width, height), (x1, y1, x2, y2) = crops.scales[0], boxes[0]
    assert width / height == pytest.approx(size[0] / size[1], rel=1e-5)
    assert width >= 1.25 * (x2 - x1) * (1 - 1e-3)
    assert height >= 1.25 * (y2 - y1) * (1 - 1e-3)
    assert width == pytest.approx(1.25 * (x2 - x1), rel=1e-3) or height == pytest.approx(1.25 * (y2 - y1), rel=1e-3)
    np.testing.assert_allclose(crops.centers[0], [(x1 + x2) / 2, (y1 + y2) / 2], rtol=1e-5, atol=1e-3)


@given(BOXES, SIZES, st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8))
def test_a_point_survives_the_way_into_the_crop_and_back(boxes, size, fractions):
    crops = crops_around(boxes, size, 1.25)
    points = crops.centers + (np.array(fractions) - 0.5) * crops.scales
    inside = points @ crops.matrices()[0][:, :2].T + crops.matrices()[0][:, 2]
    back = crops.to_image(inside[None].astype(np.float32))[0]
    # Single precision in the three points that fix the map: a few ulps of the coordinates, seen through the scale.
    tolerance = 1e-5 * (np.abs(points).max() + crops.scales.max())
    np.testing.assert_allclose(back, points, rtol=0, atol=tolerance)


@pytest.mark.parametrize("box", [[100, 80, 300, 420], [-60, -40, 200, 300], [0, 0, 512, 600], [10.3, 20.7, 90.1, 99.9]])
def test_pixels_equal_bilinear_sampling(photograph, box):
    """Each pixel of the crop, looked up in the image by hand: an oracle that shares no code with the crop."""
    size = (192, 256)
    crops = crops_around(np.array([box]), size, 1.25)
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    (center_x, center_y), (width, height) = crops.centers[0].astype(float), crops.scales[0].astype(float)
    x = columns / size[0] * width + center_x - width / 2
    y = rows / size[1] * height + center_y - height / 2
    expected = bilinear(photograph.astype(float), x, y)
    difference = np.abs(crops.warp(photograph)[0] - expected)
    # OpenCV places its samples on a grid of 1/32 pixel: a level or two, more where the image has a sharp edge.
    assert difference.mean() < 0.75
    assert np.quantile(difference, 0.999) < 8


def bilinear(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    total = np.zeros((*x.shape, 3))
    for dx in (0, 1):
        for dy in (0, 1):
            column, row = left + dx, top + dy
            weight = (1 - np.abs(x - column)) * (1 - np.abs(y - row))
            seen = (column >= 0) & (row >= 0) & (column < image.shape[1]) & (row < image.shape[0])
            total[seen] += weight[seen][:, None] * image[row[seen], column[seen]]
    return total


def test_what_lies_outside_the_image_is_black():
    crops = crops_around(np.array([[-1000, -1000, -500, -500]]), (192, 256), 1.25)
    assert not crops.warp(np.full((64, 64, 3), 255, np.uint8))[0].any()


def test_a_whole_number_crop_copies_pixels(photograph):
    crops = Crops(np.array([[196, 228]], np.float32), np.array([[192, 256]], np.float32), (192, 256))
    np.testing.assert_array_equal(crops.warp(photograph)[0], photograph[100:356, 100:292])


def test_the_tensor_is_normalised_in_the_networks_channel_order():
    image = np.zeros((2, 3, 3), np.uint8)
    image[..., 0], image[..., 1], image[..., 2] = 30, 20, 10
    tensor = to_tensor([image], mean=(1, 2, 3), std=(1, 2, 3), to_rgb=True)
    assert (tensor.shape, tensor.dtype) == ((1, 3, 2, 3), np.float32)
    assert tensor.flags.c_contiguous
    np.testing.assert_array_equal(tensor[0, :, 0, 0], [9, 9, 9])
    bgr = to_tensor([image], mean=(0, 0, 0), std=(1, 1, 1), to_rgb=False)
    np.testing.assert_array_equal(bgr[0, :, 0, 0], [30, 20, 10])


@pytest.mark.parametrize(("to_rgb", "pad_value"), [(True, None), (False, 114)])
def test_every_level_becomes_what_arithmetic_in_single_precision_makes_of_it(to_rgb, pad_value):
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    images = np.random.default_rng(0).permutation(np.repeat(np.arange(256, dtype=np.uint8), 6)).reshape(2, 16, 16, 3)
    padded = np.full((2, 20, 18, 3), pad_value or 0, np.uint8)
    padded[:, :16, :16] = images
    expected = (padded[..., ::-1] if to_rgb else padded).astype(np.float32) - np.array(mean, np.float32)
    expected = (expected / np.array(std, np.float32)).transpose(0, 3, 1, 2)
    if pad_value is None:
        expected[:, :, 16:], expected[:, :, :, 16:] = 0, 0
    found = to_tensor(images, mean, std, to_rgb, (20, 18), pad_value)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(to_tensor(images, mean, std, to_rgb), expected[:, :, :16, :16])
