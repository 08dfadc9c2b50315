"""Which detections of two lists are the same, which differ by rounding alone, and which are plainly wrong."""

from dataclasses import replace

import numpy as np
import pytest

from compiler.proof.pairing import Detected, pair
from compiler.selection import SelectionConfig
from compiler.selection.nms import detections

CONFIG = SelectionConfig(iou_threshold=0.5, score_thr=0.05, max_per_img=60)
CROWD = [[100 * column, 100 * row, 100 * column + 50, 100 * row + 50, 0.9] for row in range(5) for column in range(8)]
"""Forty boxes far from each other, so that one more or less is few."""


def crowd(*rows, is_full=False, labels=()):
    """Return the crowd, and more boxes: x1, y1, x2, y2, score."""
    array = np.array([*CROWD, *rows], np.float32)
    groups = np.array([0] * (len(array) - len(labels)) + list(labels))
    return Detected(array[:, :4], array[:, 4], groups, is_full)


def lacks(first, second):
    """Return how many of each list the other lacks and should not."""
    return tuple(int(side.sum()) for side in pair(first, second, CONFIG).unpaired())


def test_equal_lists_lack_nothing_in_any_order():
    array = np.array(CROWD, np.float32)
    shuffled = np.random.default_rng(0).permutation(array)
    lists = [Detected(rows[:, :4], rows[:, 4], np.zeros(len(rows))) for rows in (array, shuffled)]
    assert lacks(*lists) == (0, 0)
    for one, other in pair(*lists, CONFIG).pairs:
        np.testing.assert_array_equal(lists[0].boxes[one], lists[1].boxes[other])


def test_a_missing_or_an_additional_box_is_lacking():
    assert lacks(crowd((900, 900, 950, 950, 0.5)), crowd()) == (1, 0)
    assert lacks(crowd(), crowd((900, 900, 950, 950, 0.5))) == (0, 1)


def test_a_box_of_another_class_or_another_place_is_lacking_on_both_sides():
    box = (900, 900, 950, 950, 0.5)
    assert lacks(crowd(box), crowd(box, labels=[1])) == (1, 1)
    assert lacks(crowd(box), crowd((910, 910, 960, 960, 0.5))) == (1, 1)


def overlapping(ratio, width=100.0):
    """Return the shift by which two boxes of that width overlap by that ratio."""
    return width * (1 - ratio) / (1 + ratio)


@pytest.mark.parametrize(("ratio", "lacking"), [(0.5, 0), (0.5005, 0), (0.4995, 0), (0.49, 1), (0.52, 1)])
def test_the_worse_of_two_boxes_that_overlap_by_the_threshold_is_undecided(ratio, lacking):
    shift = overlapping(ratio)
    better, worse = (900, 900, 1000, 1000, 0.8), (900 + shift, 900, 1000 + shift, 1000, 0.6)
    assert lacks(crowd(better, worse), crowd(better)) == (lacking, 0)
    assert lacks(crowd(better), crowd(better, worse)) == (0, lacking)


def test_the_better_of_two_boxes_is_never_undecided():
    shift = overlapping(0.5)
    better, worse = (900, 900, 1000, 1000, 0.8), (900 + shift, 900, 1000 + shift, 1000, 0.6)
    assert lacks(crowd(better, worse), crowd(worse)) == (1, 0)


def test_what_an_undecided_box_excludes_is_undecided_too():
    shift = overlapping(0.5)
    first, second, third = ((900 + n * shift, 900, 1000 + n * shift, 1000, 0.8 - n / 10) for n in range(3))
    near_second = (third[0] - 5, 900, third[2] - 5, 1000, 0.6)
    assert lacks(crowd(first, second), crowd(first, near_second)) == (0, 0)


@pytest.mark.parametrize(("score", "lacking"), [(0.6, 0), (0.60001, 0), (0.61, 1)])
def test_of_two_boxes_with_the_same_score_that_exclude_each_other_either_may_be_kept(score, lacking):
    assert lacks(crowd((900, 900, 1000, 1000, 0.6)), crowd((920, 900, 1020, 1000, score))) == (lacking, lacking)


@pytest.mark.parametrize(
    ("score", "is_full", "lacking"), [(0.3, True, 0), (0.3, False, 1), (0.4, True, 1), (0.05001, False, 0)]
)
def test_what_scores_as_little_as_the_last_of_a_full_list_or_the_threshold_is_undecided(score, is_full, lacking):
    last = (900, 900, 950, 950, 0.3)
    assert lacks(crowd((1100, 900, 1150, 950, score), last), crowd(last, is_full=is_full)) == (lacking, 0)


def moved(detected, pixels=0.0, score=0.0):
    """Return a list as a lower precision gives it."""
    signs = np.where(np.arange(len(detected.boxes)) % 2, 1, -1)
    return replace(detected, boxes=detected.boxes + pixels * signs[:, None], scores=detected.scores + score * signs)


@pytest.mark.parametrize(("ratio", "pixels", "lacking"), [(0.51, 0, 1), (0.51, 0.3, 0), (0.58, 0.3, 1), (0.42, 0.3, 1)])
def test_an_overlap_is_near_the_threshold_within_what_a_lower_precision_moves_boxes(ratio, pixels, lacking):
    shift = overlapping(ratio)
    better, worse = (900, 900, 1000, 1000, 0.8), (900 + shift, 900, 1000 + shift, 1000, 0.6)
    assert lacks(crowd(better, worse), moved(crowd(better), pixels=pixels)) == (lacking, 0)


@pytest.mark.parametrize(("score", "apart", "lacking"), [(0.053, 0, 1), (0.053, 2e-3, 0), (0.06, 2e-3, 1)])
def test_a_score_is_near_the_threshold_within_what_a_lower_precision_moves_scores(score, apart, lacking):
    assert lacks(crowd((900, 900, 950, 950, score)), moved(crowd(), score=apart)) == (lacking, 0)


def test_where_many_differ_none_is_undecided():
    moved = np.array(CROWD, np.float32)
    moved[:, [0, 2]] += 10  # a wrong box regression under right scores
    assert lacks(crowd(), Detected(moved[:, :4], moved[:, 4], np.zeros(len(moved)))) == (40, 40)
    few = [Detected(rows[:1, :4], rows[:1, 4], np.zeros(1)) for rows in (np.array(CROWD, np.float32), moved)]
    assert lacks(*few) == (1, 1)


@pytest.mark.parametrize(("score", "lacking"), [(0.06, 0), (0.6, 8)])
def test_many_that_score_next_to_nothing_are_little(score, lacking):
    shift = overlapping(0.5)
    columns = [(900, 200 * row, 1000, 200 * row + 100) for row in range(8)]
    better = [(*box, score + 0.001) for box in columns]
    worse = [(left + shift, top, right + shift, bottom, score) for left, top, right, bottom in columns]
    assert lacks(crowd(*better, *worse), crowd(*better)) == (lacking, 0)


def test_suppression_after_rounding_differs_by_nothing_but_what_is_undecided():
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 800, (1, 4000, 2))
    boxes = np.concatenate([corners, corners + generator.uniform(80, 150, (1, 4000, 2))], axis=2).astype(np.float32)
    scores = generator.uniform(0.1, 0.9, (1, 4000, 1)).astype(np.float32)
    lists = []
    for noise in (0, 2e-2):
        near = boxes + generator.normal(0, noise, boxes.shape).astype(np.float32)
        dets, labels, _ = detections(near, scores, 0.5, 1000)
        found = labels[0] >= 0
        lists.append(Detected(dets[0, found, :4], dets[0, found, 4], labels[0, found]))
    pairing = pair(*lists, CONFIG)
    assert all(side.any() for side in pairing.undecided)
    assert not any(side.any() for side in pairing.unpaired())
