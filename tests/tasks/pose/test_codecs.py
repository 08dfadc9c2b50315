"""SimCC decoding is MMPose's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.tasks.pose.codecs import SimCCLabel

CODEC = SimCCLabel((192, 256), (4.9, 5.66), 2.0, normalize=False)


def simcc(simcc_x: np.ndarray, simcc_y: np.ndarray) -> dict[str, np.ndarray]:
    return {"simcc_x": simcc_x, "simcc_y": simcc_y}


def one_hot(length: int, index: int, value: float = 1.0) -> np.ndarray:
    scores = np.full((1, 1, length), -1.0, np.float32)
    scores[0, 0, index] = value
    return scores


def test_use_dark_equals_mmposes(parity):
    with np.load(parity / "decode" / "simcc_dark.npz") as golden:
        codec = SimCCLabel((48, 64), (4.9, 5.66), 2.0, normalize=False, use_dark=True)
        keypoints, scores = codec.decode(golden)
        np.testing.assert_allclose(keypoints, golden["keypoints"], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(scores, golden["scores"])


def test_use_dark_finds_the_peak_between_bins():
    codec = SimCCLabel((48, 64), (4.9, 5.66), 2.0, use_dark=True)
    simcc_x = np.exp(-((np.arange(96) - 40.3) ** 2) / (2 * 4.9**2)).astype(np.float32)[None, None]
    simcc_y = np.exp(-((np.arange(128) - 71.8) ** 2) / (2 * 5.66**2)).astype(np.float32)[None, None]
    keypoints, _ = codec.decode(simcc(simcc_x, simcc_y))
    np.testing.assert_allclose(keypoints[0, 0], [40.3 / 2, 71.8 / 2], atol=0.02)


@given(st.integers(0, 383), st.integers(0, 511), st.floats(0.01, 9), st.floats(0.01, 9))
def test_the_best_bin_is_found_and_scored_by_the_weaker_axis(column, row, score_x, score_y):
    keypoints, scores = CODEC.decode(simcc(one_hot(384, column, score_x), one_hot(512, row, score_y)))
    assert keypoints.tolist() == [[[column / 2, row / 2]]]
    assert scores.item() == pytest.approx(min(score_x, score_y), rel=1e-6)


def test_a_point_that_is_nowhere_lies_outside():
    keypoints, scores = CODEC.decode(simcc(one_hot(384, 7, 0.0), one_hot(512, 7, 5.0)))
    assert keypoints.tolist() == [[[-0.5, -0.5]]]
    assert scores.item() == 0


def test_decoding_leaves_its_inputs_alone():
    codec = SimCCLabel((192, 256), (4.9, 5.66), 2.0, use_dark=True)
    outputs = simcc(one_hot(384, 9), one_hot(512, 9))
    before = {name: output.copy() for name, output in outputs.items()}
    codec.decode(outputs)
    np.testing.assert_equal(outputs, before)


@pytest.mark.parametrize("use_dark", [False, True])
def test_no_items_give_no_points(use_dark):
    codec = SimCCLabel((192, 256), use_dark=use_dark)
    keypoints, scores = codec.decode(simcc(np.zeros((0, 17, 384), np.float32), np.zeros((0, 17, 512), np.float32)))
    assert keypoints.shape == (0, 17, 2)
    assert scores.shape == (0, 17)


@pytest.mark.parametrize(
    ("x_shape", "y_shape"),
    [((1, 17, 512), (1, 17, 384)), ((17, 384), (17, 512)), ((1, 17, 384), (2, 17, 512)), ((1, 17, 384), (1, 17))],
)
def test_wrong_shapes_are_refused(x_shape, y_shape):
    with pytest.raises(ValueError, match="SimCC scores"):
        CODEC.decode(simcc(np.zeros(x_shape, np.float32), np.zeros(y_shape, np.float32)))


def test_a_codec_must_be_possible():
    with pytest.raises(ValueError, match="must be positive"):
        SimCCLabel((192, 0))


def test_a_mirror_swaps_points_and_reverses_columns_only():
    random = np.random.default_rng(0)
    outputs = simcc(random.random((2, 3, 384), "f4"), random.random((2, 3, 512), "f4"))
    mirrored = CODEC.mirror(outputs, (0, 2, 1), shift_heatmap=True)
    assert mirrored["simcc_x"][1, 2, 5] == outputs["simcc_x"][1, 1, 378]
    assert mirrored["simcc_y"][1, 2, 5] == outputs["simcc_y"][1, 1, 5]
