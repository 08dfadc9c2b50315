"""Non-maximum suppression is the textbook's, whatever it is given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.selection import SelectionConfig, nms
from compiler.selection.nms import detections, overlaps, suppress


def textbook(boxes, scores, labels, threshold):
    """Return the kept boxes, best first: compare every box with every better one that is kept."""
    kept = []
    for index in sorted(range(len(boxes)), key=lambda index: (-scores[index], index)):
        rivals = [other for other in kept if labels[other] == labels[index]]
        if not any(overlaps(boxes[other], boxes[index]) > threshold for other in rivals):
            kept.append(index)
    return kept


@st.composite
def candidates(draw):
    count = draw(st.integers(0, 24))
    whole = st.integers(0, 12)
    rows = draw(st.lists(st.tuples(whole, whole, whole, whole), min_size=count, max_size=count))
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in rows], np.float32).reshape(-1, 4)
    scores = np.array(draw(st.lists(st.sampled_from([0.2, 0.4, 0.6]), min_size=count, max_size=count)), np.float32)
    labels = np.array(draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)), np.int64)
    return boxes, scores, labels


@given(candidates(), st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.integers(1, 30), st.sampled_from([1, 5, 2048]))
def test_what_is_kept_is_what_the_textbook_keeps(inputs, threshold, limit, at_once):
    boxes, scores, labels = inputs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nms, "_AT_ONCE", at_once)
        kept = suppress(boxes, scores, threshold, limit, labels)
    assert kept.tolist() == textbook(boxes, scores, labels, threshold)[:limit]


def test_overlap_of_boxes_by_hand():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [0, 0, 0, 10], [np.nan, 0, 1, 1]])
    assert overlaps(boxes[0], boxes).tolist() == [1.0, np.float32(50 / 150), 0.0, 0.0, 0.0]


def test_an_overlap_at_the_threshold_is_allowed_and_one_above_is_not():
    boxes = np.array([[0, 0, 2, 1], [0, 0, 1, 1]], np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    assert suppress(boxes, scores, 0.5, 9).tolist() == [0, 1]
    assert suppress(boxes, scores, 0.4999, 9).tolist() == [0]


def test_detections_are_sorted_and_padded_image_by_image():
    boxes = np.array([[[0, 0, 9, 9], [50, 50, 60, 60], [0, 0, 9, 10]]] * 2, np.float32)
    scores = np.zeros((2, 3, 2), np.float32)
    scores[0] = [[0.3, 0.0], [0.0, 0.9], [0.5, 0.4]]
    dets, labels, indices = detections(boxes, scores, 0.5, 4)
    assert labels.tolist() == [[1, 0, 1, -1], [-1] * 4]
    assert indices.tolist() == [[1, 2, 2, -1], [-1] * 4]
    assert dets[0, :, 4].tolist() == np.float32([0.9, 0.5, 0.4, 0]).tolist()
    assert dets[0, 0, :4].tolist() == [50, 50, 60, 60]
    assert not dets[0, 3].any()
    assert not dets[1].any()
    assert (dets.dtype, labels.dtype, indices.dtype) == (np.float32, np.int64, np.int64)


def test_of_too_many_detections_the_best_of_all_classes_remain():
    boxes = np.array([[[20 * index, 0, 20 * index + 10, 10] for index in range(6)]], np.float32)
    scores = np.zeros((1, 6, 3), np.float32)
    scores[0, np.arange(6), [0, 1, 2, 0, 1, 2]] = [0.1, 0.6, 0.2, 0.5, 0.3, 0.4]
    _, labels, indices = detections(boxes, scores, 0.5, 3)
    assert indices.tolist() == [[1, 3, 5]]
    assert labels.tolist() == [[1, 0, 2]]


def test_among_equal_scores_the_lower_class_comes_first_and_then_the_lower_box():
    boxes = np.array([[[20 * index, 0, 20 * index + 10, 10] for index in range(3)]], np.float32)
    scores = np.full((1, 3, 2), 0.5, np.float32)
    _, labels, indices = detections(boxes, scores, 0.5, 6)
    assert labels.tolist() == [[0, 0, 0, 1, 1, 1]]
    assert indices.tolist() == [[0, 1, 2, 0, 1, 2]]


def test_without_a_threshold_the_best_remain_whatever_they_overlap():
    boxes = np.array([[[0, 0, 9, 9], [0, 0, 9, 9], [0, 0, 9, 10]]], np.float32)
    scores = np.array([[[0.3, 0.0], [0.4, 0.4], [np.nan, 0.5]]], np.float32)
    dets, labels, indices = detections(boxes, scores, None, 3)
    assert labels.tolist() == [[1, 0, 1]]
    assert indices.tolist() == [[2, 1, 1]]
    assert dets[0, :, 4].tolist() == np.float32([0.5, 0.4, 0.4]).tolist()
    assert detections(boxes, scores, None, 6)[1].tolist() == [[1, 0, 1, 0, -1, -1]]


def test_what_is_no_number_is_no_candidate():
    boxes = np.array([[[0, 0, 9, 9], [20, 0, 29, 9], [np.inf, 0, np.inf, 9]]], np.float32)
    scores = np.array([[[np.nan], [0.5], [0.4]]], np.float32)
    assert detections(boxes, scores, 0.5, 3)[2].tolist() == [[1, 2, -1]]
    assert suppress(boxes[0], scores[0, :, 0], 0.5, 9).tolist() == [1, 2]


def test_without_boxes_there_is_nothing():
    dets, labels, _ = detections(np.zeros((2, 0, 4), "f4"), np.zeros((2, 0, 3), "f4"), 0.5, 2)
    assert not dets.any()
    assert (labels == -1).all()


@pytest.mark.parametrize("wrong", [{"score_thr": 1.1}, {"conf_thr": -0.1}, {"iou_threshold": 2}, {"max_per_img": 0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        SelectionConfig(**wrong)
