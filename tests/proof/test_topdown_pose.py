"""Poses in crops are compared box by box, in pixels of the image."""

import numpy as np
import pytest

from compiler.proof import proof_of
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
