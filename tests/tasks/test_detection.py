"""Detection of objects: from an image to boxes drawn on it."""

import dataclasses
import json

import numpy as np
import pytest

from compiler.config.sizes import SizeRange
from compiler.errors import CompileError, UsageError
from compiler.selection.nms import detections
from compiler.tasks import build_task
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
    prepared = detector(name).preprocess(image, None)
    assert prepared.tensors["input"].shape == (1, 3, *shape)
    assert prepared.tensors["input"].dtype == np.float32


def test_pixels_equal_mmdetections(task, parity):
    with np.load(parity / "detection_inputs.npz") as golden:
        prepared = dataclasses.replace(task, scale=(64, 48)).preprocess(golden["image"], None)
        np.testing.assert_array_equal(prepared.tensors["input"][0], golden["normalised.divisor32"])


def test_rtmdet_pads_with_grey_before_it_normalises(image):
    task = detector("rtmdet")
    tensor = task.preprocess(image, None).tensors["input"]
    expected = (114 - np.float32(task.mean)) / np.float32(task.std)
    np.testing.assert_array_equal(tensor[0, :, -1, -1], expected)
    assert not np.array_equal(tensor[0, :, 0, 0], expected)


def test_retinanet_pads_with_zeros_after_it_normalises(task, image):
    tensor = task.preprocess(image, None).tensors["input"]
    assert not tensor[..., 1200:].any()
    assert tensor[..., 1199].any()


@pytest.mark.parametrize("name", ["retinanet", "yolov3", "rtmdet"])
@pytest.mark.parametrize(("axes", "size"), [((0, 1, 2), (128, 85)), ((1, 0, 2), (64, 96))])
def test_a_fixed_engine_gets_its_size_in_either_orientation(name, axes, size, image):
    turned = np.ascontiguousarray(image.transpose(axes))
    prepared = detector(name).preprocess(turned, None, FIXED)
    assert prepared.tensors["input"].shape == (1, 3, 96, 128)
    assert prepared.placements[0].factors == (size[0] / turned.shape[1], size[1] / turned.shape[0])


def test_an_engine_that_takes_more_changes_nothing(task, image):
    free = task.preprocess(image, None)
    ranged = task.preprocess(image, None, SizeRange((320, 320), (800, 1344), (1344, 1344), (32, 32)))
    np.testing.assert_array_equal(ranged.tensors["input"], free.tensors["input"])


def test_the_whole_image_is_the_only_box(task, image):
    whole = np.array([[0, 0, 600, 400]], np.float32)
    assert len(task.preprocess(image, whole, FIXED).placements) == 1
    with pytest.raises(CompileError, match="whole image"):
        task.preprocess(image, whole - 1, FIXED)
    with pytest.raises(ValueError, match="uint8"):
        task.preprocess(image[..., 0], None)


def test_decoding_maps_clips_sorts_and_drops_padding(task, image):
    prepared = task.preprocess(image, None, FIXED)
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
    prepared = host.preprocess(image, None, FIXED)
    boxes = np.array([[[10, 10, 40, 40], [11, 10, 40, 40], [60, 10, 90, 40]]], np.float32)
    scores = np.zeros((1, 3, 80), np.float32)
    scores[0, [0, 1, 2], [5, 5, 7]] = [0.6, 0.7, 0.5]
    ours = host.decode({"boxes": boxes, "scores": scores}, prepared)
    theirs = native.decode(raw((11, 10, 40, 40, 0.7, 5), (60, 10, 90, 40, 0.5, 7)), prepared)
    assert native.difference(ours, theirs) < 1e-6
    assert [one.label for one in ours] == [5, 7]


@pytest.mark.parametrize("outputs", [{"dets": np.zeros((1, 4, 4)), "labels": np.zeros((1, 4))}, raw() | {"dets": 0}])
def test_outputs_of_another_shape_are_refused(task, image, outputs):
    outputs = {name: np.asarray(value) for name, value in outputs.items()}
    with pytest.raises(ValueError, match="no boxes"):
        task.decode(outputs, task.preprocess(image, None, FIXED))


def test_detections_for_another_batch_are_refused(task, image):
    outputs = {name: np.repeat(value, 2, axis=0) for name, value in raw().items()}
    with pytest.raises(ValueError, match="2 images, and 1"):
        task.decode(outputs, task.preprocess(image, None, FIXED))


def test_samples_are_distinct_repeatable_and_start_with_the_image(task, image):
    batch = task.samples(image, None, 4, (96, 128))
    tensor = batch.tensors["input"]
    assert tensor.shape == (4, 3, 96, 128)
    assert len(batch.placements) == len(batch.sizes) == 4
    np.testing.assert_array_equal(tensor[0], task.preprocess(image, None, FIXED).tensors["input"][0])
    np.testing.assert_array_equal(tensor, task.samples(image, None, 4, (96, 128)).tensors["input"])
    assert all(not np.array_equal(tensor[i], tensor[j]) for i in range(4) for j in range(i))
    outputs = {name: np.repeat(value, 4, axis=0) for name, value in raw((0, 0, 9, 9, 0.5, 1)).items()}
    assert [one.item for one in task.decode(outputs, batch)] == [0, 1, 2, 3]


def test_difference_by_hand(task):
    one, moved, another = found([0, 0, 10, 10]), found([0, 0, 10, 9.5]), found([0, 0, 10, 8])
    assert task.difference([], []) == 0
    assert task.difference([one], [one]) == 0
    assert task.difference([one], [moved]) == pytest.approx(0.05)
    assert task.difference([one], [another]) == 1
    assert task.difference([one], []) == 1
    assert task.difference([one], [found([0, 0, 10, 10], label=1)]) == 1
    assert task.difference([one], [found([0, 0, 10, 10], item=1)]) == 1
    assert task.difference([one, another], [another, one]) == 0


def test_swapped_rows_are_put_in_the_order_of_the_reference(task):
    reference = raw((0, 0, 10, 10, 0.7, 1), (50, 50, 60, 60, 0.6999, 1), (0, 0, 10, 10, 0.5, 2))
    swapped = raw((50, 50, 60, 60, 0.70001, 1), (0, 0, 10, 10, 0.7, 1), (0, 0, 10, 10, 0.5, 2))
    same, put = task.comparable(reference, reference), task.comparable(swapped, reference)
    np.testing.assert_array_equal(same["boxes"], reference["dets"][..., :4])
    np.testing.assert_array_equal(put["boxes"], same["boxes"])
    np.testing.assert_array_equal(put["labels"], same["labels"])
    np.testing.assert_allclose(put["scores"], same["scores"], atol=2e-4)


def test_a_detection_without_a_partner_stays_an_error(task):
    reference = raw((0, 0, 10, 10, 0.7, 1), (50, 50, 60, 60, 0.6, 1))
    wrong = raw((0, 0, 10, 10, 0.7, 1), (90, 90, 99, 99, 0.6, 1))
    missing = raw((50, 50, 60, 60, 0.6, 1))
    expected = task.comparable(reference, reference)
    assert np.abs(task.comparable(wrong, reference)["boxes"] - expected["boxes"]).max() == 40
    put = task.comparable(missing, reference)
    np.testing.assert_array_equal(put["boxes"][0, 1], expected["boxes"][0, 1])
    assert put["labels"][0, 0] == -1


def test_candidates_of_the_host_tail_are_compared_once_they_are_selected():
    boxes = np.array([[[0, 0, 9, 9], [20, 20, 40, 40], [0, 0, 0, 0]]], np.float32)
    scores = np.zeros((1, 3, 80), np.float32)
    scores[0, 0, 1], scores[0, 1, 2] = 0.5, 0.5
    host, native = detector("retinanet", "host"), detector("retinanet")
    dets, labels, _ = detections(boxes, scores, 0.5, 100)
    compared = host.comparable({"boxes": boxes[:, ::-1], "scores": scores[:, ::-1]}, {"boxes": boxes, "scores": scores})
    expected = native.comparable({"dets": dets, "labels": labels}, {"dets": dets, "labels": labels})
    for name, array in expected.items():
        np.testing.assert_array_equal(compared[name], array)


def test_drawing_changes_pixels_near_the_box_only(task):
    image = np.full((400, 600, 3), 127, np.uint8)
    drawn = task.draw(image, [found([200, 150, 400, 300])])
    changed = np.argwhere((drawn != image).any(axis=2))
    assert changed.min(axis=0) == pytest.approx([135, 200], abs=15)
    assert changed.max(axis=0) == pytest.approx([300, 400], abs=3)
    assert (drawn[155:295, 205:395] == 127).all()
    assert (image == 127).all()


def test_detections_below_the_threshold_are_not_drawn(task, image):
    np.testing.assert_array_equal(task.draw(image, [found([10, 10, 90, 90], 0.29)]), image)
    assert (task.draw(image, [found([10, 10, 90, 90], 0.3)]) != image).any()


@pytest.mark.parametrize("box", [[0, 0, 600, 400], [599, 399, 600, 400], [0, 0, 1, 1], [-9e6, -50, 9e6, 2000]])
def test_boxes_at_the_edges_can_be_drawn(task, image, box):
    assert (task.draw(image, [found(box)]) != image).any()


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


def transforms(task, sizes=None):
    preprocess = task.sdk_pipeline(True, sizes)["pipeline"]["tasks"][0]["transforms"]
    return {(step["type"], index): step for index, step in enumerate(preprocess)}


def test_the_sdk_resizes_and_pads_as_the_model_does():
    steps = transforms(detector("rtmdet-tiny"))
    assert steps["Resize", 1] == {"type": "Resize", "keep_ratio": True, "size": [640, 640]}
    assert steps["Pad", 2] == {"type": "Pad", "size": [640, 640], "pad_val": {"img": [114, 114, 114]}}
    steps = transforms(detector("retinanet"), SizeRange((320, 320), (800, 1344), (1344, 1344), (32, 32)))
    assert steps["Resize", 1]["size"] == [1333, 800]
    assert steps["Pad", 3] == {"type": "Pad", "size_divisor": 32}


def test_the_sdk_pads_to_the_size_of_a_fixed_engine():
    steps = transforms(detector("retinanet"), FIXED)
    assert steps["Resize", 1]["size"] == [128, 96]
    assert steps["Pad", 3] == {"type": "Pad", "size": [128, 96]}


def test_the_sdk_decodes_with_what_mmdeploy_writes(parity):
    golden = json.loads((parity / "sdk" / "rtmdet_tiny" / "pipeline.json").read_text())["pipeline"]["tasks"]
    ours = detector("rtmdet-tiny").sdk_pipeline(False)["pipeline"]["tasks"]
    for key in ("module", "component", "params"):
        assert ours[2][key] == golden[2][key]
    normalize, collect = (
        next(step for step in golden[0]["transforms"] if step["type"] == kind) for kind in ("Normalize", "Collect")
    )
    assert normalize in ours[0]["transforms"]
    assert collect in ours[0]["transforms"]


def test_the_sdk_does_not_drop_what_yolov3_multiplied_below_the_threshold():
    params = detector("yolov3").sdk_pipeline()["pipeline"]["tasks"][2]["params"]
    assert params["score_thr"] == 0
    assert "conf_thr" not in params


def test_the_codebase_is_mmdetections(parity):
    golden = json.loads((parity / "sdk" / "rtmdet_tiny" / "detail.json").read_text())["codebase_config"]
    ours = detector("rtmdet-tiny").sdk_codebase()
    assert ours.keys() == golden.keys()
    assert ours["post_processing"].keys() == golden["post_processing"].keys()
