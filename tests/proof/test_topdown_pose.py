"""Poses in crops are compared box by box, in pixels of the image."""

import numpy as np
import pytest

from compiler.proof import proof_of
from compiler.proof.pose import undecided
from compiler.tasks import Sample
from compiler.tasks.pose import Pose
from tests.tasks.detectors import detector

SIZE = (256, 192)
"""Height and width of the input."""


@pytest.fixture(scope="module")
def task():
    return detector("rtmpose")


@pytest.fixture(scope="module")
def photograph(task):
    return task.read(task.sample_source()).source


def one_pose(offset: float = 0.0, score: float = 1.0) -> Pose:
    points = np.stack([np.linspace(20, 170, 17), np.linspace(30, 220, 17)], axis=1).astype(np.float32)
    return Pose(points + np.float32(offset), np.full(17, score, np.float32), np.float32([10, 20, 180, 230]))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_samples_are_distinct_and_repeatable(task, photograph, count):
    boxes = np.array([[0, 0, 512, 600], [100, 100, 300, 400]])
    first, second = (proof_of(task).samples(Sample(photograph, boxes), count, SIZE) for _ in range(2))
    tensor = first.tensors["input"]
    assert len(tensor) == len(first.boxes) == count
    np.testing.assert_array_equal(tensor, second.tensors["input"])
    np.testing.assert_array_equal(tensor[0], task.preprocess(Sample(photograph, boxes)).tensors["input"][0])
    for one in range(count):
        for other in range(one):
            assert np.abs(tensor[one] - tensor[other]).max() > 0.5


def test_samples_around_the_whole_image(task, photograph):
    assert len(proof_of(task).samples(Sample(photograph), 3, SIZE).boxes) == 3


def test_difference_is_the_largest_distance_in_pixels(task):
    moved = one_pose()
    moved.keypoints[4] += [3, 4]
    assert proof_of(task).difference([one_pose(), one_pose()], [one_pose(), moved]) == pytest.approx(5)
    assert proof_of(task).difference([one_pose()], [one_pose()]) == 0
    assert proof_of(task).difference([], []) == 0


def test_poses_that_cannot_be_paired_are_infinitely_far_apart(task):
    broken = one_pose()
    broken.keypoints[0] = np.nan
    assert proof_of(task).difference([one_pose()], []) == float("inf")
    assert proof_of(task).difference([one_pose()], [broken]) == float("inf")


def maps(*peaks, columns=64):
    """SimCC scores of one box: for each key point a peak at a column, and another of some height."""
    scores = np.zeros((1, len(peaks), columns), np.float32)
    for point, (place, rival, height) in enumerate(peaks):
        scores[0, point, place], scores[0, point, rival] = 1.0, height
    return {"x": scores, "y": scores}


CLEAR = [(10, 40, 0.5)] * 16
NOISE = np.float32(0.01)


def shaken(outputs):
    """The same with an error everywhere, as a lower precision makes it."""
    signs = np.where(np.arange(64) % 2, NOISE, -NOISE)
    return {name: array + signs for name, array in outputs.items()}


@pytest.mark.parametrize(("height", "is_undecided"), [(0.995, True), (0.9, False)])
def test_a_point_with_a_rival_within_the_error_is_undecided_and_no_other(height, is_undecided):
    reference = maps(*CLEAR, (10, 41, height))  # the error lifts the rival and lowers the peak
    found = shaken(reference)
    found["x"][0, 16, 41] = found["y"][0, 16, 41] = 1.02
    expected = np.zeros((1, 17), bool)
    expected[0, 16] = is_undecided
    np.testing.assert_array_equal(undecided(reference, found, ("x", "y")), expected)


def test_where_many_points_are_undecided_none_is():
    reference = maps(*[(10, 41, 0.995)] * 17)
    assert not undecided(reference, shaken(reference), ("x", "y")).any()


def test_what_is_allowed_grows_with_the_person(task, photograph):
    small, large = (task.preprocess(Sample(photograph, np.array([[0, 0, side, 2 * side]]))) for side in (100, 200))
    assert proof_of(task).allowed(small) == pytest.approx(10)
    assert proof_of(task).allowed(large) == pytest.approx(20)
