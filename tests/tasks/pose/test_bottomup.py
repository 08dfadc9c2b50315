"""People with their key points, found in one step: from an image to skeletons drawn on it."""

import dataclasses
import json

import numpy as np
import pytest

from compiler.config.sizes import SizeRange
from compiler.proof import proof_of
from compiler.tasks import Sample
from compiler.tasks.images import read_image
from compiler.tasks.pose.bottomup import PersonPose
from tests.tasks.detectors import detector

FIXED = SizeRange((96, 128), (96, 128), (96, 128), (32, 32))


@pytest.fixture(scope="module")
def task():
    return detector("yoloxpose")


@pytest.fixture(scope="module")
def image():
    return np.full((300, 200, 3), 127, np.uint8)


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


@pytest.mark.parametrize(("name", "side"), [("yoloxpose", 640), ("yoloxpose-s", 640), ("yoloxpose-tiny", 416)])
def test_the_image_lies_in_the_middle_with_grey_around_it(name, side, image):
    tensor = detector(name).preprocess(Sample(image)).tensors["input"]
    assert tensor.shape == (1, 3, side, side)
    assert (tensor[..., :2] == 114).all()
    assert (tensor[..., -2:] == 114).all()
    # The lowest rows are blended with the grey.
    assert (tensor[..., : side - 8, side // 2] == 127).all()


def test_colours_are_left_as_they_are(task):
    blue = np.zeros((64, 64, 3), np.uint8)
    blue[..., 0] = 200
    tensor = task.preprocess(Sample(blue)).tensors["input"]
    assert tensor[0, :, 320, 320].tolist() == [200, 0, 0]


def test_an_engine_of_another_size_gets_its_size(task, image):
    assert task.preprocess(Sample(image), FIXED).tensors["input"].shape == (1, 3, 96, 128)
    assert proof_of(task).samples(Sample(image), 3, (64, 96)).tensors["input"].shape == (3, 3, 64, 96)
    assert read_image(task.sample_source()).shape[2] == 3


def test_people_are_mapped_to_the_image(task, image):
    """The image is 64 wide and 96 high in the input, and begins at x = 32."""
    prepared = task.preprocess(Sample(image), FIXED)
    outputs = raw([(48, 24, 80, 72, 0.5), (-40, -9, 200, 200, 0.8)], [(64, 48, 0.9), (0, 96, 0.1)])
    large, small = task.decode(outputs, prepared)
    np.testing.assert_allclose(small.box, [50, 75, 150, 225], atol=1e-3)
    np.testing.assert_allclose(small.keypoints, np.tile([100, 150], (17, 1)), atol=1e-3)
    np.testing.assert_allclose(small.scores, 0.9)
    np.testing.assert_allclose(large.box, [0, 0, 200, 300], atol=1e-3)
    # A key point may lie outside the image: a part of the person that it does not show.
    np.testing.assert_allclose(large.keypoints[0], [-100, 300], atol=1e-3)
    json.dumps(large.to_dict())


def test_the_host_tail_gathers_the_key_points_of_what_it_keeps(image):
    host, native = detector("yoloxpose", "host"), detector("yoloxpose")
    assert host.outputs == ("boxes", "scores", "keypoints")
    assert native.outputs == ("dets", "labels", "keypoints")
    boxes = np.array([[[40, 20, 60, 60], [41, 20, 60, 60], [70, 20, 90, 60]]], np.float32)
    scores = np.array([[[0.6], [0.7], [0.5]]], np.float32)
    keypoints = np.arange(3 * 17 * 3, dtype=np.float32).reshape(1, 3, 17, 3)
    prepared = host.preprocess(Sample(image), FIXED)
    ours = host.decode({"boxes": boxes, "scores": scores, "keypoints": keypoints}, prepared)
    rows = [(41, 20, 60, 60, 0.7), (70, 20, 90, 60, 0.5)]
    theirs = native.decode(raw(rows, [keypoints[0, 1], keypoints[0, 2]]), prepared)
    assert len(ours) == 2
    assert proof_of(host).difference(ours, theirs) == 0


def test_drawing_shows_people_and_visible_points_above_the_threshold(task, image):
    np.testing.assert_array_equal(task.draw(Sample(image), [person(score=0.2)]), image)
    box_only, whole = task.draw(Sample(image), [person(visible=0.2)]), task.draw(Sample(image), [person()])
    assert (box_only[60:240, 40:160] == 127).all()
    assert (whole[60:240, 40:160] != 127).any()
    assert (task.draw(Sample(image), [person(float("nan"))]) == box_only).all()


def test_settings_that_cannot_be_are_refused(task):
    with pytest.raises(ValueError, match="tail"):
        dataclasses.replace(task, tail="other")
    with pytest.raises(ValueError, match="positive"):
        dataclasses.replace(task, input_size=(0, 640))
