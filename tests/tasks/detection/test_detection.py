"""Detection of objects: from an image to boxes drawn on it."""

import dataclasses
import json

import numpy as np
import pytest

from compiler.config.sizes import SizeRange
from compiler.errors import CompileError, UsageError
from compiler.proof import proof_of
from compiler.tasks import Sample, build_task
from compiler.tasks.classes import Classes, color_of
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


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("retinanet", (800, 1216)),  # 800 x 1200, to multiples of 32
        ("yolov3", (416, 608)),
        ("yolov3-416", (288, 416)),
        ("yolov3-mobilenetv2-320", (224, 320)),
        ("rtmdet", (640, 640)),
        ("rtmdet-tiny", (640, 640)),
    ],
)
def test_every_model_prepares_the_photograph_as_its_config_says(name, shape, image):
    prepared = detector(name).preprocess(Sample(image))
    assert prepared.tensors["input"].shape == (1, 3, *shape)
    assert prepared.tensors["input"].dtype == np.float32


def test_pixels_equal_mmdetections(task, parity):
    with np.load(parity / "detection_inputs.npz") as golden:
        prepared = dataclasses.replace(task, scale=(64, 48)).preprocess(Sample(golden["image"]))
        np.testing.assert_array_equal(prepared.tensors["input"][0], golden["normalised.divisor32"])


def test_rtmdet_pads_with_grey_before_it_normalises(image):
    task = detector("rtmdet")
    tensor = task.preprocess(Sample(image)).tensors["input"]
    expected = (114 - np.float32(task.mean)) / np.float32(task.std)
    np.testing.assert_array_equal(tensor[0, :, -1, -1], expected)
    assert not np.array_equal(tensor[0, :, 0, 0], expected)


def test_retinanet_pads_with_zeros_after_it_normalises(task, image):
    tensor = task.preprocess(Sample(image)).tensors["input"]
    assert not tensor[..., 1200:].any()
    assert tensor[..., 1199].any()


@pytest.mark.parametrize("name", ["retinanet", "yolov3", "rtmdet"])
@pytest.mark.parametrize(("axes", "size"), [((0, 1, 2), (128, 85)), ((1, 0, 2), (64, 96))])
def test_a_fixed_engine_gets_its_size_in_either_orientation(name, axes, size, image):
    turned = np.ascontiguousarray(image.transpose(axes))
    prepared = detector(name).preprocess(Sample(turned), FIXED)
    assert prepared.tensors["input"].shape == (1, 3, 96, 128)
    assert prepared.placements[0].factors == (size[0] / turned.shape[1], size[1] / turned.shape[0])


def test_an_engine_that_takes_more_changes_nothing(task, image):
    free = task.preprocess(Sample(image))
    ranged = task.preprocess(Sample(image), SizeRange((320, 320), (800, 1344), (1344, 1344), (32, 32)))
    np.testing.assert_array_equal(ranged.tensors["input"], free.tensors["input"])


def test_the_whole_image_is_the_only_box(task, image):
    whole = np.array([[0, 0, 600, 400]], np.float32)
    assert len(task.preprocess(Sample(image, whole), FIXED).placements) == 1
    with pytest.raises(CompileError, match="whole image"):
        task.preprocess(Sample(image, whole - 1), FIXED)
    with pytest.raises(ValueError, match="uint8"):
        task.preprocess(Sample(image[..., 0]))


def test_decoding_maps_clips_sorts_and_drops_padding(task, image):
    prepared = task.preprocess(Sample(image), FIXED)
    assert prepared.placements[0].factors == (128 / 600, 85 / 400)
    results = task.decode(raw((12.8, 8.5, 64, 85, 0.4, 2), (-5, 0, 128, 96, 0.8, 41)), prepared)
    assert [(one.name, one.label, one.item) for one in results] == [("cup", 41, 0), ("car", 2, 0)]
    assert [one.score for one in results] == [pytest.approx(0.8), pytest.approx(0.4)]
    np.testing.assert_allclose(results[0].box, [0, 0, 600, 400])
    np.testing.assert_allclose(results[1].box, [60, 40, 300, 400], rtol=1e-6)
    json.dumps([one.to_dict() for one in results])


def test_the_host_tail_finds_what_the_native_one_is_given(image):
    native, host = detector("retinanet"), detector("retinanet", "host")
    assert (native.outputs, host.outputs) == (("dets", "labels"), ("boxes", "scores"))
    prepared = host.preprocess(Sample(image), FIXED)
    boxes = np.array([[[10, 10, 40, 40], [11, 10, 40, 40], [60, 10, 90, 40]]], np.float32)
    scores = np.zeros((1, 3, 80), np.float32)
    scores[0, [0, 1, 2], [5, 5, 7]] = [0.6, 0.7, 0.5]
    ours = host.decode({"boxes": boxes, "scores": scores}, prepared)
    theirs = native.decode(raw((11, 10, 40, 40, 0.7, 5), (60, 10, 90, 40, 0.5, 7)), prepared)
    assert proof_of(native).difference(ours, theirs) < 1e-6
    assert [one.label for one in ours] == [5, 7]


def test_candidates_in_the_padding_take_no_places_where_the_host_selects(image):
    """Two that are one within the image's edge, and one outside it, as MMDetection's heads clip them."""
    host = detector("retinanet", "host")
    prepared = host.preprocess(Sample(image), FIXED)
    height = round(image.shape[0] * prepared.placements[0].factors[1])
    assert height < FIXED.largest[0]
    boxes = np.array(
        [[[10, 0, 40, height], [10, 0, 40, 2.5 * height], [5, height + 1, 40, height + 9], [60, 10, 90, 40]]],
        np.float32,
    )
    scores = np.zeros((1, 4, 80), np.float32)
    scores[0, :, 5] = [0.8, 0.7, 0.9, 0.5]
    kept = host.decode({"boxes": boxes, "scores": scores}, prepared)
    assert [one.score for one in kept] == [pytest.approx(0.8), pytest.approx(0.5)]
    padded = dataclasses.replace(host, clip_to_image=False)
    assert [one.score for one in padded.decode({"boxes": boxes, "scores": scores}, prepared)] == [
        pytest.approx(score) for score in (0.8, 0.7, 0.5)
    ]


def test_of_all_candidates_those_in_the_padding_take_no_places_either(image):
    task = detector("retinanet", "raw")
    prepared = task.preprocess(Sample(image), FIXED)
    height = round(image.shape[0] * prepared.placements[0].factors[1])
    boxes = np.array([[[10, 0, 40, height], [5, height + 1, 40, height + 9], [60, 10, 90, 40]]], np.float32)
    scores = np.zeros((1, 3, 80), np.float32)
    scores[0, :, 5] = [0.8, 0.9, 0.5]
    rest = {"factors": np.ones((1, 3), np.float32), "levels": np.zeros((1, 3), np.float32)}
    kept = task.decode({"boxes": boxes, "scores": scores, **rest}, prepared)
    assert [one.score for one in kept] == [pytest.approx(0.8), pytest.approx(0.5)]


@pytest.mark.parametrize("outputs", [{"dets": np.zeros((1, 4, 4)), "labels": np.zeros((1, 4))}, raw() | {"dets": 0}])
def test_outputs_of_another_shape_are_refused(task, image, outputs):
    outputs = {name: np.asarray(value) for name, value in outputs.items()}
    with pytest.raises(ValueError, match="no boxes"):
        task.decode(outputs, task.preprocess(Sample(image), FIXED))


def test_detections_for_another_batch_are_refused(task, image):
    outputs = {name: np.repeat(value, 2, axis=0) for name, value in raw().items()}
    with pytest.raises(ValueError, match="2 images, and 1"):
        task.decode(outputs, task.preprocess(Sample(image), FIXED))


def test_drawing_changes_pixels_near_the_box_only(task):
    image = np.full((400, 600, 3), 127, np.uint8)
    drawn = task.draw(Sample(image), [found([200, 150, 400, 300])])
    changed = np.argwhere((drawn != image).any(axis=2))
    assert changed.min(axis=0) == pytest.approx([135, 200], abs=15)
    assert changed.max(axis=0) == pytest.approx([300, 400], abs=3)
    assert (drawn[155:295, 205:395] == 127).all()
    assert (image == 127).all()


def test_detections_below_the_threshold_are_not_drawn(task, image):
    np.testing.assert_array_equal(task.draw(Sample(image), [found([10, 10, 90, 90], 0.29)]), image)
    assert (task.draw(Sample(image), [found([10, 10, 90, 90], 0.3)]) != image).any()


@pytest.mark.parametrize("box", [[0, 0, 600, 400], [599, 399, 600, 400], [0, 0, 1, 1], [-9e6, -50, 9e6, 2000]])
def test_boxes_at_the_edges_can_be_drawn(task, image, box):
    assert (task.draw(Sample(image), [found(box)]) != image).any()


@pytest.mark.parametrize("name", ["\ud800", "a\0b", "\x1b[2J", "n" * 200_000, ""])
def test_a_class_may_be_called_anything_and_is_drawn(task, image, name):
    drawn = task.draw(Sample(image), [Detection(np.array([50, 50, 90, 90], np.float32), 0.9, 0, name, 0)])
    assert (drawn != image).any()


def test_classes_are_those_of_coco_in_distinct_colours(task):
    assert len(task.classes.names) == 80
    assert task.classes.names[0] == "person"
    assert task.classes.names[79] == "toothbrush"
    assert len({color_of(label) for label in range(80)}) == 80
    for names in ((), ("cat", "cat")):
        with pytest.raises(ValueError, match="unique"):
            Classes(names)


def test_settings_that_cannot_be_are_refused(task):
    with pytest.raises(ValueError, match="tail"):
        dataclasses.replace(task, tail="other")
    with pytest.raises(ValueError, match="positive"):
        dataclasses.replace(task, pad_divisor=0)
    with pytest.raises(UsageError, match="is missing"):
        build_task({"_target_": "compiler.tasks.detection.ObjectDetection", "scale": [1, 1]})
