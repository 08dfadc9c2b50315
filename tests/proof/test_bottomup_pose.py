"""People are paired by their boxes, and compared by their key points."""

import numpy as np
import pytest

from compiler.proof import proof_of
from compiler.tasks.pose.bottomup import PersonPose
from tests.tasks.detectors import detector


@pytest.fixture(scope="module")
def task():
    return detector("yoloxpose")


def raw(boxes, points, count=3):
    """Return the outputs for one image, given boxes with scores and, for each, where all its key points lie."""
    dets, labels = np.zeros((1, count, 5), np.float32), np.full((1, count), -1, np.int64)
    keypoints = np.zeros((1, count, 17, 3), np.float32)
    for index, (box, point) in enumerate(zip(boxes, points, strict=True)):
        dets[0, index], labels[0, index], keypoints[0, index] = box, 0, point
    return {"dets": dets, "labels": labels, "keypoints": keypoints}


def person(offset=0.0, score=0.9, visible=0.9, item=0):
    points = np.stack([np.linspace(40, 160, 17), np.linspace(60, 240, 17)], axis=1).astype(np.float32)
    scores = np.full(17, visible, np.float32)
    return PersonPose(np.float32([30, 50, 170, 250]), score, points + np.float32(offset), scores, item)


def test_difference_is_the_farthest_key_point(task):
    assert proof_of(task).difference([], []) == 0
    assert proof_of(task).difference([person()], [person()]) == 0
    assert proof_of(task).difference([person()], [person(3)]) == pytest.approx(3 * 2**0.5)
    assert proof_of(task).difference([person()], []) == float("inf")
    assert proof_of(task).difference([person()], [person(item=1)]) == float("inf")
    assert proof_of(task).difference([person()], [person(float("nan"))]) == float("inf")


def test_key_points_follow_their_person_into_the_order_of_the_reference(task):
    one, other = (0, 0, 10, 10, 0.5), (50, 50, 60, 60, 0.5)
    reference, swapped = raw([one, other], [(1, 1, 1), (2, 2, 1)]), raw([other, one], [(2, 2, 1), (1, 1, 1)])
    expected, put = proof_of(task).comparable(reference, reference), proof_of(task).comparable(swapped, reference)
    assert set(put) == {"boxes", "scores", "labels", "keypoints"}
    for name, value in expected.items():
        np.testing.assert_array_equal(put[name], value)
