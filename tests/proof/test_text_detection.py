"""Texts are paired by their bounding boxes, and compared by their overlap."""

import numpy as np
import pytest

from compiler.config.sizes import SizeRange
from compiler.proof import proof_of
from compiler.tasks import Sample, build_task
from compiler.tasks.text_detection import TextDetection, TextInstance

NODE = {
    "_target_": "compiler.tasks.text_detection.TextDetection",
    "scale": [1333, 736],
    "pad_divisor": 32,
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
    "to_rgb": True,
    "postprocessor": {"_target_": "compiler.tasks.text_detection.db.DBPostprocessor", "text_repr_type": "quad"},
}
FIXED = SizeRange((96, 128), (96, 128), (96, 128), (32, 32))


@pytest.fixture(scope="module")
def task():
    built = build_task(NODE)
    assert isinstance(built, TextDetection)
    return built


@pytest.fixture(scope="module")
def image(task):
    return task.read(task.sample_source()).source


def found(*corners, score=0.9, item=0):
    return TextInstance(np.array(corners, np.float32), score, item)


def box(x1, y1, x2, y2, **about):
    return found([x1, y1], [x2, y1], [x2, y2], [x1, y2], **about)


def bar(rows, columns, shape=(96, 128), value=0.8):
    """Return a DBNet's output for one image with one bar of text."""
    maps = np.zeros((1, *shape), np.float32)
    maps[0, slice(*rows), slice(*columns)] = value
    return {"output": maps}


def test_samples_are_distinct_repeatable_and_start_with_the_image(task, image):
    batch = proof_of(task).samples(Sample(image), 4, (96, 128))
    tensor = batch.tensors["input"]
    assert tensor.shape == (4, 3, 96, 128)
    np.testing.assert_array_equal(tensor[0], task.preprocess(Sample(image), FIXED).tensors["input"][0])
    np.testing.assert_array_equal(tensor, proof_of(task).samples(Sample(image), 4, (96, 128)).tensors["input"])
    assert all(not np.array_equal(tensor[i], tensor[j]) for i in range(4) for j in range(i))
    outputs = {"output": np.repeat(bar((40, 51), (20, 61))["output"], 4, axis=0)}
    assert [one.item for one in task.decode(outputs, batch)] == [0, 1, 2, 3]


def test_difference_by_hand(task):
    one, moved = box(0, 0, 100, 20), box(0, 0, 100, 19)
    assert proof_of(task).difference([], []) == 0
    assert proof_of(task).difference([one], [one]) == 0
    assert proof_of(task).difference([one], [moved]) == pytest.approx(0.05)
    assert proof_of(task).difference([one, box(0, 50, 100, 70)], [box(0, 50, 100, 70), moved]) == pytest.approx(0.05)
    assert proof_of(task).difference([one], [box(0, 0, 100, 20, item=1)]) == 1
    assert proof_of(task).difference([one], []) == 1
    assert proof_of(task).difference([one, one], [one]) == 1


def test_a_text_that_only_rounding_decides_about_may_be_missing(task):
    assert proof_of(task).difference([box(0, 0, 100, 20, score=0.30005)], []) == 0
    assert proof_of(task).difference([box(0, 0, 100, 20, score=0.3002)], []) == 1
    assert proof_of(task).difference([box(0, 0, 100, 0.9)], []) == 0


def test_polygons_are_compared_as_they_are_not_by_their_boxes(task):
    triangle = found([0, 0], [100, 0], [0, 100])
    assert proof_of(task).difference([triangle], [box(0, 0, 100, 100)]) == pytest.approx(0.5)
