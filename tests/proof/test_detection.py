"""Detections of a stage are paired with those of the reference."""

import numpy as np
import pytest

from compiler.config.sizes import SizeRange
from compiler.proof import Tolerance, compare, proof_of
from compiler.selection.nms import detections
from compiler.tasks import Sample
from compiler.tasks.detection import Detection
from compiler.tasks.images import read_image
from tests.tasks.detectors import detector

FIXED = SizeRange((96, 128), (96, 128), (96, 128), (32, 32))


@pytest.fixture(scope="module")
def task():
    return detector("retinanet")


@pytest.fixture(scope="module")
def image(task):
    return read_image(task.sample_source())


def found(box, score=0.9, label=0, item=0):
    return Detection(np.array(box, np.float32), score, label, "person", item)


def raw(*rows, count=4):
    """Return `dets` and `labels` of one image: rows of x1, y1, x2, y2, score, label."""
    dets, labels = np.zeros((1, count, 5), np.float32), np.full((1, count), -1, np.int64)
    for index, row in enumerate(rows):
        dets[0, index], labels[0, index] = row[:5], row[5]
    return {"dets": dets, "labels": labels}


def test_samples_are_distinct_repeatable_and_start_with_the_image(task, image):
    batch = proof_of(task).samples(Sample(image), 4, (96, 128))
    tensor = batch.tensors["input"]
    assert tensor.shape == (4, 3, 96, 128)
    assert len(batch.placements) == len(batch.sizes) == 4
    np.testing.assert_array_equal(tensor[0], task.preprocess(Sample(image), FIXED).tensors["input"][0])
    np.testing.assert_array_equal(tensor, proof_of(task).samples(Sample(image), 4, (96, 128)).tensors["input"])
    assert all(not np.array_equal(tensor[i], tensor[j]) for i in range(4) for j in range(i))
    outputs = {name: np.repeat(value, 4, axis=0) for name, value in raw((0, 0, 9, 9, 0.5, 1)).items()}
    assert [one.item for one in task.decode(outputs, batch)] == [0, 1, 2, 3]


def test_difference_by_hand(task):
    one, moved, another = found([0, 0, 10, 10]), found([0, 0, 10, 9.5]), found([0, 0, 10, 8])
    assert proof_of(task).difference([], []) == 0
    assert proof_of(task).difference([one], [one]) == 0
    assert proof_of(task).difference([one], [moved]) == pytest.approx(0.05)
    assert proof_of(task).difference([one], [another]) == 1
    assert proof_of(task).difference([one], []) == 1
    assert proof_of(task).difference([one], [found([0, 0, 10, 10], label=1)]) == 1
    assert proof_of(task).difference([one], [found([0, 0, 10, 10], item=1)]) == 1
    assert proof_of(task).difference([one, another], [another, one]) == 0


def test_swapped_rows_are_put_in_the_order_of_the_reference(task):
    reference = raw((0, 0, 10, 10, 0.7, 1), (50, 50, 60, 60, 0.6999, 1), (0, 0, 10, 10, 0.5, 2))
    swapped = raw((50, 50, 60, 60, 0.70001, 1), (0, 0, 10, 10, 0.7, 1), (0, 0, 10, 10, 0.5, 2))
    same, put = proof_of(task).comparable(reference, reference), proof_of(task).comparable(swapped, reference)
    np.testing.assert_array_equal(same["boxes"], reference["dets"][..., :4])
    np.testing.assert_array_equal(put["boxes"], same["boxes"])
    np.testing.assert_array_equal(put["labels"], same["labels"])
    np.testing.assert_allclose(put["scores"], same["scores"], atol=2e-4)


def test_a_detection_without_a_partner_stays_an_error(task):
    reference = raw((0, 0, 10, 10, 0.7, 1), (50, 50, 60, 60, 0.6, 1))
    wrong = raw((0, 0, 10, 10, 0.7, 1), (90, 90, 99, 99, 0.6, 1))
    missing = raw((50, 50, 60, 60, 0.6, 1))
    expected = proof_of(task).comparable(reference, reference)
    assert np.abs(proof_of(task).comparable(wrong, reference)["boxes"] - expected["boxes"]).max() == 40
    put = proof_of(task).comparable(missing, reference)
    np.testing.assert_array_equal(put["boxes"][0, 1], expected["boxes"][0, 1])
    assert put["labels"][0, 0] == -1


def test_candidates_of_the_host_tail_are_compared_once_they_are_selected():
    boxes = np.array([[[0, 0, 9, 9], [20, 20, 40, 40], [0, 0, 0, 0]]], np.float32)
    scores = np.zeros((1, 3, 80), np.float32)
    scores[0, 0, 1], scores[0, 1, 2] = 0.5, 0.5
    host, native = detector("retinanet", "host"), detector("retinanet")
    dets, labels, _ = detections(boxes, scores, 0.5, 100)
    compared = proof_of(host).comparable(
        {"boxes": boxes[:, ::-1], "scores": scores[:, ::-1]}, {"boxes": boxes, "scores": scores}
    )
    expected = proof_of(native).comparable({"dets": dets, "labels": labels}, {"dets": dets, "labels": labels})
    for name, array in expected.items():
        np.testing.assert_array_equal(compared[name], array)


def test_the_numbers_of_what_is_found_are_counted_and_padding_is_not(task):
    assert proof_of(task).count(raw()) == 0
    assert proof_of(task).count(raw((0, 0, 9, 9, 0.5, 1), (9, 9, 20, 20, 0.4, 2))) == 12
    assert proof_of(task).thresholds == (task.test_cfg.score_thr, task.test_cfg.conf_thr)


def test_rounding_decides_on_which_side_of_a_pixel_a_sliver_is(task):
    one, other = found([0, 0, 10, 1.01]), found([0, 0, 10, 0.99])
    assert proof_of(task).difference([one], [other]) == 0
    assert proof_of(task).difference([one], []) == 1
    assert proof_of(task).difference([other], []) == 0


def test_another_class_is_wrong_however_many_there_are(task):
    reference, other = raw((0, 0, 9, 9, 0.5, 3)), raw((0, 0, 9, 9, 0.5, 4))
    labels = next(row for row in compare(reference, other, proof_of(task)) if row.output == "labels")
    assert not Tolerance(0.1).holds(labels)


def test_a_box_that_is_huge_is_not_the_measure_of_the_others(task):
    huge, one, moved = (0, 0, 1e18, 1e18, 0.9, 1), (0, 0, 100, 100, 0.8, 2), (0, 0, 100, 107, 0.8, 2)
    larger = (0, 0, 1.1e18, 1e18, 0.9, 1)
    boxes, *_ = compare(raw(huge, one), raw(larger, one), proof_of(task))
    assert boxes.max_absolute_error == 0
    boxes, *_ = compare(raw(huge, one), raw(larger, moved), proof_of(task))
    assert boxes.max_absolute_error == 7
