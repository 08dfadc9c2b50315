"""Overlaps of turned rectangles, held to a polygon that is cut edge by edge, and what is selected by them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.tasks.voxel_detection.boxes3d import rectangle_corners
from compiler.tasks.voxel_detection.nms import circle_nms, intersections, rotated_nms, rotated_overlaps

PLACE, SIDE, ANGLE = st.floats(-4, 4), st.floats(0.1, 6), st.floats(-7, 7)
RECTANGLE = st.tuples(PLACE, PLACE, SIDE, SIDE, ANGLE).map(lambda values: np.array([values]))
ONE = np.array([[10.0, -3.0, 4.0, 2.0, 0.3]])


def clipped(a, b):
    """Return what is left of a rectangle when each edge of another has cut off what lies beyond it."""
    polygon, other = list(rectangle_corners(a)[0]), rectangle_corners(b)[0]
    for start, end in zip(other, np.roll(other, -1, axis=0), strict=True):
        edge = end - start
        heights = [edge[0] * (y - start[1]) - edge[1] * (x - start[0]) for x, y in polygon]
        rest = []
        for index, (point, height) in enumerate(zip(polygon, heights, strict=True)):
            before, height_before = polygon[index - 1], heights[index - 1]
            if (height >= 0) != (height_before >= 0):
                rest.append(before + (point - before) * height_before / (height_before - height))
            if height >= 0:
                rest.append(point)
        polygon = rest
    return sum(polygon[i - 1][0] * polygon[i][1] - polygon[i - 1][1] * polygon[i][0] for i in range(len(polygon))) / 2


@given(RECTANGLE, RECTANGLE)
@settings(max_examples=300, deadline=None)
def test_common_areas_are_what_is_left_of_the_one_within_the_edges_of_the_other(a, b):
    assert intersections(a, b)[0] == pytest.approx(clipped(a, b), abs=1e-6)


@given(RECTANGLE, RECTANGLE, st.floats(-50, 50), st.floats(-50, 50))
@settings(max_examples=100, deadline=None)
def test_common_areas_are_symmetric_and_move_along(a, b, right, up):
    shift = np.array([[right, up, 0, 0, 0]])
    area = intersections(a, b)[0]
    assert intersections(b, a)[0] == pytest.approx(area, abs=1e-6)
    assert intersections(a + shift, b + shift)[0] == pytest.approx(area, abs=1e-6)
    assert -1e-9 <= area <= min(a[0, 2] * a[0, 3], b[0, 2] * b[0, 3]) + 1e-6


@given(RECTANGLE, st.sampled_from([0, np.pi, -np.pi, 2 * np.pi]))
@settings(max_examples=100, deadline=None)
def test_a_rectangle_overlaps_itself_wholly_either_way_round(a, turn):
    assert rotated_overlaps(a, a + np.array([[0, 0, 0, 0, turn]]))[0, 0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "overlap"),
    [
        ((4, 0, 0, 0, 0), 0.0),  # they touch
        ((2, 0, 0, 0, 0), 1 / 3),
        ((0, 0, -2, 0, 0), 0.5),  # one within the other
        ((0, 0, 0, 0, np.pi / 2), 4 / 12),  # a cross
        ((100, 0, 0, 0, 0), 0.0),
    ],
)
def test_overlaps_that_can_be_counted(change, overlap):
    one = np.array([[0.0, 0, 4, 2, 0]])
    assert rotated_overlaps(one, one + np.array([change]))[0, 0] == pytest.approx(overlap)


def test_a_rectangle_without_area_overlaps_nothing():
    flat = np.array([[10.0, -3.0, 4.0, 0.0, 0.3]])
    assert rotated_overlaps(flat, flat)[0, 0] == 0
    assert rotated_overlaps(flat, ONE)[0, 0] == pytest.approx(0, abs=1e-12)


def test_angles_turn_from_x_towards_y():
    long = np.array([[0.0, 0, 10, 0.1, np.pi / 4]])
    assert rotated_overlaps(long, np.array([[3.0, 3, 1, 1, 0]])) > 0
    assert rotated_overlaps(long, np.array([[3.0, -3, 1, 1, 0]])) == 0


def test_the_best_are_kept_and_what_a_dropped_one_overlaps_may_stay():
    row = np.array([[x, 0, 4, 2, 0.0] for x in (0, 2, 4, 20)])  # neighbours overlap by a third
    assert rotated_nms(row, np.array([0.9, 0.8, 0.7, 0.6]), 0.3).tolist() == [0, 2, 3]
    assert rotated_nms(row, np.array([0.7, 0.9, 0.8, 0.6]), 0.3).tolist() == [1, 3]
    assert rotated_nms(row, np.array([0.9, 0.8, 0.7, 0.6]), 0.34).tolist() == [0, 1, 2, 3]
    assert rotated_nms(row, np.array([0.9, 0.8, 0.7, 0.6]), 0.3, limit=2).tolist() == [0]
    assert rotated_nms(row[:0], np.zeros(0), 0.3).tolist() == []


@pytest.mark.parametrize("most", [None, 40, 5000])
def test_a_crowd_is_looked_at_block_by_block_and_comes_out_as_one_by_one(most):
    generator = np.random.default_rng(0)
    crowd = np.c_[generator.uniform(0, 30, (300, 2)), generator.uniform(1, 5, (300, 2)), generator.uniform(-3, 3, 300)]
    scores = generator.random(300)
    overlaps, kept = rotated_overlaps(crowd, crowd), []
    for index in np.argsort(-scores):
        if all(overlaps[better, index] <= 0.2 for better in kept):
            kept.append(int(index))
    assert 40 < len(kept) < 200
    assert rotated_nms(crowd, scores, 0.2, most=most).tolist() == kept[:most]


def test_circles_compare_squared_distances_with_the_threshold():
    centers = np.array([[0, 0], [2, 0], [3.9, 0]], np.float32)
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    assert circle_nms(centers, scores, 4.0).tolist() == [0, 2]  # a distance of 2 excludes
    assert circle_nms(centers, scores, 3.5).tolist() == [0, 1, 2]
    assert circle_nms(centers[:2], np.array([0.5, 0.5], np.float32), 4.0).tolist() == [1]  # the last of equal ones
