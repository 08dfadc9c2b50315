"""Pictures of point clouds from above."""

import numpy as np
import pytest

from compiler.tasks.voxel_detection import Detection3D
from compiler.tasks.voxel_detection.birdseye import BirdsEye, Marked
from tests.tasks.detectors import detector

VIEW = BirdsEye((0.0, -20.0, -3.0, 40.0, 20.0, 1.0))


def changed(*draws):
    """Return where two pictures differ, as rows and columns."""
    first, second = (VIEW.draw(points, marks) for points, marks in draws)
    return np.nonzero((first != second).any(axis=2))


NOTHING = np.zeros((0, 4), np.float32)


def test_x_is_to_the_right_and_y_upwards():
    (left, top), (right, bottom) = VIEW.pixels(np.array([[0.0, 20.0], [40.0, -20.0]]))
    assert left < right
    assert top < bottom
    assert right - left == pytest.approx(40 * VIEW.scale)
    shape = VIEW.draw(NOTHING, []).shape
    assert shape[0] > bottom
    assert shape[1] > right


def test_a_point_is_drawn_where_it_is_and_one_out_of_range_is_not():
    rows, columns = changed(([[10.0, 5.0, 0.0, 0.0]] * np.ones((1, 1), np.float32), []), (NOTHING, []))
    x, y = VIEW.pixels(np.array([10.0, 5.0]))
    assert abs(columns.mean() - x) < 1.5
    assert abs(rows.mean() - y) < 1.5
    outside = np.array([[10, 5, 2, 0], [-1, 5, 0, 0], [40, 5, 0, 0]], np.float32)
    assert not changed((outside, []), (NOTHING, []))[0].size


def test_points_at_the_borders_stay_in_the_picture():
    corners = np.array([[0, -20, 0], [39.999, 19.999, 0]], np.float32)
    assert changed((corners, []), (NOTHING, []))[0].size


def test_high_points_differ_from_low_ones_and_lie_on_top():
    low, high = ([[x, 5.0, z] for x in np.arange(1, 39, 0.05)] for z in (-2.0, 0.5))
    both = np.array([*high, *low], np.float32)
    reverse = np.array([*low, *high], np.float32)
    np.testing.assert_array_equal(VIEW.draw(both, []), VIEW.draw(reverse, []))


def test_a_box_is_drawn_with_its_heading_and_its_text_in_its_colour():
    box = np.array([20, 0, -1, 4, 2, 1.5, 0], np.float32)
    mark = Marked(box, "Car 0.90", (200, 40, 40))
    rows, columns = changed((NOTHING, [mark]), (NOTHING, []))
    x, _ = VIEW.pixels(np.array([20.0, 0.0]))
    beyond = VIEW.pixels(np.array([22.6, 0.0]))[0]
    assert columns.max() == pytest.approx(beyond, abs=4)  # the line beyond the front
    turned = Marked(np.array([*box[:6], np.pi], np.float32), "Car 0.90", (200, 40, 40))
    rows_turned, columns_turned = changed((NOTHING, [turned]), (NOTHING, []))
    assert columns_turned.min() == pytest.approx(2 * x - beyond, abs=4)
    assert rows.min() == rows_turned.min()
    picture = VIEW.draw(NOTHING, [mark])
    assert (picture == np.array([40, 40, 200], np.uint8)).all(axis=2).any()


@pytest.mark.parametrize("box", [(500, -300, 0, 4, 2, 1.5, 1), (20, 0, 0, 1e9, 2e30, 1.5, 1)])
def test_a_box_beyond_the_picture_does_no_harm(box):
    assert changed((NOTHING, [Marked(np.array(box, np.float32), "Car 0.90", (200, 40, 40))]), (NOTHING, []))[0].size


def test_a_box_that_is_not_finite_is_left_out():
    box = np.array([20, 0, 0, np.inf, 2, 1.5, np.nan], np.float32)
    assert not changed((NOTHING, [Marked(box, "Car 0.90", (200, 40, 40))]), (NOTHING, []))[0].size


@pytest.mark.parametrize("name", ["pointpillars", "centerpoint"])
def test_only_what_scores_enough_is_drawn(name):
    task = detector(name)
    sample = task.read(task.sample_source())
    size = np.array([4, 2, 1.5], np.float32)
    sure, unsure = (Detection3D(np.array([20, 0, -1], np.float32), size, 0.5, score, 0, "x") for score in (0.3, 0.29))
    plain = task.draw(sample, [])
    assert plain.dtype == np.uint8
    np.testing.assert_array_equal(task.draw(sample, [unsure]), plain)
    assert (task.draw(sample, [sure]) != plain).any()


@pytest.mark.parametrize("text", ["\ud800", "a\0b", "n" * 200_000])
def test_a_class_may_be_called_anything_and_is_drawn(text):
    box = np.array([20, 0, -1, 4, 2, 1.5, 0], np.float32)
    assert changed((NOTHING, [Marked(box, text, (200, 40, 40))]), (NOTHING, []))[0].size
