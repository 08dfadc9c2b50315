"""Heat maps are decoded and mirrored as MMPose does it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.tasks.pose.codecs import MegviiHeatmap, MSRAHeatmap, UDPHeatmap

SIZES = ((96, 128), (24, 32))
"""Width and height of the input, and of the heat maps."""
MSRA = MSRAHeatmap(*SIZES, sigma=2.0)
DARK = MSRAHeatmap(*SIZES, sigma=2.0, unbiased=True)
UDP = UDPHeatmap(*SIZES)
MEGVII = MegviiHeatmap(*SIZES, kernel_size=5)
CODECS = pytest.mark.parametrize("codec", [MSRA, DARK, UDP, MEGVII], ids=["msra", "dark", "udp", "megvii"])


def gaussian(x: float, y: float, sigma: float = 2.0) -> dict[str, np.ndarray]:
    """A heat map of one point at column `x` and row `y`."""
    columns, rows = (
        np.exp(-((np.arange(24) - x) ** 2) / (2 * sigma**2)),
        np.exp(-((np.arange(32) - y) ** 2) / (2 * sigma**2)),
    )
    return {"output": (rows[:, None] * columns).astype(np.float32)[None, None]}


def one_pixel(x: int, y: int, value: float = 1.0) -> dict[str, np.ndarray]:
    heatmaps = np.zeros((1, 1, 32, 24), np.float32)
    heatmaps[0, 0, y, x] = value
    return {"output": heatmaps}


@pytest.mark.parametrize(("codec", "file"), [(DARK, "heatmap_dark"), (UDP, "heatmap_udp")])
def test_refined_peaks_equal_mmposes(parity, codec, file):
    with np.load(parity / "decode" / f"{file}.npz") as arrays:
        golden = dict(arrays)
    keypoints, scores = codec.decode({"output": golden["heatmaps"]})
    found = scores > 0
    np.testing.assert_allclose(keypoints[found], golden["keypoints"][found], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(scores, golden["scores"])
    # MMPose's UDP looks up the neighbours of a point that is nowhere in another point's map.
    assert not found.all()
    np.testing.assert_array_equal(keypoints[~found], codec.to_input(np.full(((~found).sum(), 2), -1, np.float32)))


@settings(max_examples=50, deadline=None)
@given(st.floats(4, 19), st.floats(4, 27))
def test_dark_and_udp_find_a_gaussian_between_pixels(x, y):
    for codec, scale in ((DARK, [4, 4]), (UDP, [96 / 23, 128 / 31])):
        keypoints, _ = codec.decode(gaussian(x, y))
        np.testing.assert_allclose(keypoints[0, 0] / scale, [x, y], rtol=0, atol=0.05)


@settings(max_examples=50, deadline=None)
@given(st.floats(3, 20), st.floats(3, 28))
def test_a_quarter_of_a_pixel_towards_the_higher_neighbour_is_at_most_that_far_off(x, y):
    keypoints, _ = MSRA.decode(gaussian(x, y))
    np.testing.assert_allclose(keypoints[0, 0] / 4, [x, y], rtol=0, atol=0.25 + 1e-3)


@pytest.mark.parametrize(
    ("x", "y", "offset"),
    [
        (2, 2, (0.25, 0.25)),
        (1, 2, (0, 0.25)),
        (2, 1, (0.25, 0)),
        (0, 2, (0, 0)),
        (22, 30, (0.25, 0.25)),
        (23, 30, (0, 0.25)),
    ],
)
def test_a_point_moves_along_an_axis_only_with_two_pixels_before_it_and_one_after(x, y, offset):
    heatmaps = np.zeros((1, 1, 34, 26), np.float32)
    heatmaps[0, 0, y, x], heatmaps[0, 0, y, x + 1], heatmaps[0, 0, y + 1, x] = 3, 2, 1
    keypoints, _ = MSRA.decode({"output": heatmaps[..., :32, :24]})
    np.testing.assert_array_equal(keypoints[0, 0], np.float32([x, y]) * 4 + np.float32(offset) * 4)


def test_megvii_names_the_middle_of_the_pixel_and_scores_from_a_half():
    keypoints, scores = MEGVII.decode(one_pixel(10, 20, 255.0))
    assert keypoints.tolist() == [[[42, 82]]]
    assert scores.item() == pytest.approx(1.5)
    edge, _ = MEGVII.decode(one_pixel(0, 20, 255.0))
    assert edge.tolist() == [[[0, 80]]]


@CODECS
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_point_that_is_nowhere_lies_outside(codec, value):
    keypoints, scores = codec.decode({"output": np.full((1, 1, 32, 24), value, np.float32)})
    assert (keypoints < 0).all()
    assert scores.item() == pytest.approx(0.5 + value / 255 if codec is MEGVII else value)


@CODECS
def test_a_flat_map_gives_a_finite_point(codec):
    keypoints, scores = codec.decode({"output": np.ones((1, 1, 32, 24), np.float32)})
    assert np.isfinite(keypoints).all()
    assert np.isfinite(scores).all()


@CODECS
def test_decoding_leaves_its_inputs_alone(codec):
    outputs = gaussian(7.3, 11.8)
    before = outputs["output"].copy()
    codec.decode(outputs)
    np.testing.assert_array_equal(outputs["output"], before)


@CODECS
def test_no_items_give_no_points(codec):
    keypoints, scores = codec.decode({"output": np.zeros((0, 17, 32, 24), np.float32)})
    assert (keypoints.shape, scores.shape) == ((0, 17, 2), (0, 17))


@CODECS
def test_items_and_points_do_not_mix(codec):
    maps = np.random.default_rng(0).random((3, 5, 32, 24), "f4")
    together, scores = codec.decode({"output": maps})
    alone, score = codec.decode({"output": maps[2:, 4:]})
    np.testing.assert_array_equal(together[2:, 4:], alone)
    np.testing.assert_array_equal(scores[2:, 4:], score)


@CODECS
@pytest.mark.parametrize("shape", [(1, 17, 24, 32), (17, 32, 24), (1, 17, 32, 25)])
def test_wrong_shapes_are_refused(codec, shape):
    with pytest.raises(ValueError, match=r"heat maps are \[n, k, 32, 24\]"):
        codec.decode({"output": np.zeros(shape, np.float32)})


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: MSRAHeatmap((0, 128), (24, 32), 2.0), "must be positive"),
        (lambda: MSRAHeatmap(*SIZES, sigma=0.0), "sigma must be positive"),
        (lambda: MSRAHeatmap(*SIZES, sigma=2.0, blur_kernel_size=10), "blur_kernel_size must be odd"),
        (lambda: UDPHeatmap(*SIZES, heatmap_type="combined"), "only 'gaussian'"),
        (lambda: UDPHeatmap((96, 128), (1, 32)), "at least 2"),
        (lambda: UDPHeatmap(*SIZES, sigma=-1.0), "sigma must be positive"),
        (lambda: MegviiHeatmap(*SIZES, kernel_size=4), "kernel_size must be odd"),
    ],
)
def test_a_codec_must_be_possible(build, said):
    with pytest.raises(ValueError, match=said):
        build()


def test_a_mirror_swaps_points_and_reverses_columns():
    maps = np.random.default_rng(0).random((2, 3, 32, 24), "f4")
    mirrored = MSRA.mirror({"output": maps}, (0, 2, 1), shift_heatmap=False)["output"]
    assert mirrored[1, 2, 7, 5] == maps[1, 1, 7, 18]
    back = MSRA.mirror({"output": mirrored}, (0, 2, 1), shift_heatmap=False)["output"]
    np.testing.assert_array_equal(back, maps)


def test_a_shift_moves_columns_to_the_right_and_repeats_the_first():
    maps = np.random.default_rng(0).random((2, 3, 32, 24), "f4")
    plain, shifted = (MSRA.mirror({"output": maps}, (0, 2, 1), shift)["output"] for shift in (False, True))
    np.testing.assert_array_equal(shifted[..., 1:], plain[..., :-1])
    np.testing.assert_array_equal(shifted[..., 0], plain[..., 0])
