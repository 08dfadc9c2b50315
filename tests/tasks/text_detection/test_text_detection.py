"""Detection of text: from an image to polygons drawn on it."""

import dataclasses
import json

import cv2
import numpy as np
import pytest

from compiler.config.sizes import SizeRange
from compiler.errors import CompileError, UsageError
from compiler.tasks import Sample, build_task
from compiler.tasks.images import read_image
from compiler.tasks.text_detection import TextDetection, TextInstance
from tests.tasks.detectors import detector
from tests.tasks.pages import page
from tests.tasks.text_maps import depth

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


def with_postprocessor(name, **arguments):
    return build_task(NODE | {"postprocessor": {"_target_": f"compiler.tasks.text_detection.{name}", **arguments}})


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


def test_the_sample_is_the_page_that_the_tests_print(image):
    printed, words = page()
    # A pixel's width of tolerance for how another version of the font's renderer rounds.
    assert np.abs(image.astype(int) - printed).mean() < 0.5
    assert len(words) == 25
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.rint(word.quad).astype(np.int32) for word in words], 1)
    outside = cv2.dilate(inside, np.ones((3, 3))) == 0
    assert (image[outside] == image[0, 0]).mean() > 0.999


def test_text_that_is_drawn_into_the_map_is_found_on_the_page(task, image):
    _, words = page()
    prepared = task.preprocess(Sample(image))
    scale = prepared.placements[0].factors[0]
    quads = [word.quad * scale for word in words]
    side = max(prepared.tensors["input"].shape[2:])
    deep = depth(quads, side)[: prepared.tensors["input"].shape[2], : prepared.tensors["input"].shape[3]]
    results = task.decode({"output": (deep > 0.35 * deep.max() * (deep > 0))[None].astype(np.float32)}, prepared)
    assert results
    for one in results:
        center = one.polygon.mean(axis=0)
        assert any(cv2.pointPolygonTest(word.quad, center.tolist(), False) >= 0 for word in words)


def test_the_page_is_prepared_as_mmocr_does(task, image):
    tensor = task.preprocess(Sample(image)).tensors["input"]
    assert tensor.shape == (1, 3, 736, 992)  # 981 pixels, to a multiple of 32
    assert not tensor[..., 981:].any()
    expected = (image[0, 0, ::-1] - np.float32(NODE["mean"])) / np.float32(NODE["std"])
    np.testing.assert_allclose(tensor[0, :, 0, 0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("dbnet", (736, 992)),
        ("dbnet-r50-dcn", (1024, 1376)),  # 1024 x 1365, to multiples of 32
        ("psenet", (1696, 2240)),
        ("panet", (736, 992)),
        ("panet-r18-ctw1500", (640, 864)),
    ],
)
def test_every_model_prepares_the_page_as_its_config_says(name, shape, image):
    assert detector(name).preprocess(Sample(image)).tensors["input"].shape == (1, 3, *shape)


def test_pixels_equal_those_of_openmmlabs_resize(task, parity):
    with np.load(parity / "detection_inputs.npz") as golden:
        prepared = dataclasses.replace(task, scale=(64, 48)).preprocess(Sample(golden["image"]))
        np.testing.assert_array_equal(prepared.tensors["input"][0], golden["normalised.divisor32"])


@pytest.mark.parametrize(("axes", "size"), [((0, 1, 2), (128, 96)), ((1, 0, 2), (72, 96))])
def test_a_fixed_engine_gets_its_size_in_either_orientation(task, image, axes, size):
    turned = np.ascontiguousarray(image.transpose(axes))
    prepared = task.preprocess(Sample(turned), FIXED)
    assert prepared.tensors["input"].shape == (1, 3, 96, 128)
    assert prepared.placements[0].factors == (size[0] / turned.shape[1], size[1] / turned.shape[0])


def test_an_engine_that_takes_more_changes_nothing(task, image):
    free = task.preprocess(Sample(image))
    ranged = task.preprocess(Sample(image), SizeRange((320, 320), (736, 1344), (1344, 1344), (32, 32)))
    np.testing.assert_array_equal(ranged.tensors["input"], free.tensors["input"])


def test_the_whole_image_is_the_only_box(task, image):
    whole = np.array([[0, 0, 640, 480]], np.float32)
    assert len(task.preprocess(Sample(image, whole), FIXED).placements) == 1
    with pytest.raises(CompileError, match="whole image"):
        task.preprocess(Sample(image, whole - 1), FIXED)
    with pytest.raises(ValueError, match="uint8"):
        task.preprocess(Sample(image[..., 0]))


def test_polygons_are_mapped_to_the_image(task, image):
    (one,) = task.decode(bar((40, 51), (20, 61)), task.preprocess(Sample(image), FIXED))
    # 41 x 11 pixels: the edges move by 40 * 10 / 100 * 1.5 = 6 pixels; the image is five times as large.
    np.testing.assert_allclose(one.polygon, [[70, 280], [70, 170], [330, 170], [330, 280]], atol=1e-3)
    assert (one.score, one.item) == (pytest.approx(0.8), 0)
    assert json.loads(json.dumps(one.to_dict())).keys() == {"polygon", "score", "item"}


def test_maps_of_a_quarter_of_the_size_are_mapped_too(image):
    maps = np.full((1, 7, 24, 32), -9, np.float32)
    maps[..., 10:14, 5:16] = 9
    pse = with_postprocessor("pse.PSEPostprocessor", text_repr_type="quad")
    (one,) = pse.decode({"output": maps}, pse.preprocess(Sample(image), FIXED))
    np.testing.assert_allclose(one.polygon, [[100, 260], [100, 200], [300, 200], [300, 260]], atol=1e-3)


@pytest.mark.parametrize("shape", [(96, 128), (1, 1, 96, 128), (2, 96, 128)])
def test_outputs_of_another_shape_are_refused(task, image, shape):
    with pytest.raises(ValueError, match=r"axes|2 images, and 1"):
        task.decode({"output": np.zeros(shape, np.float32)}, task.preprocess(Sample(image), FIXED))


def test_drawing_changes_pixels_near_the_outline_only(task):
    image = np.full((400, 600, 3), 127, np.uint8)
    drawn = task.draw(Sample(image), [found([200, 150], [400, 150], [400, 300], [200, 300])])
    changed = np.argwhere((drawn != image).any(axis=2))
    assert changed.min(axis=0) == pytest.approx([142, 200], abs=8)
    assert changed.max(axis=0) == pytest.approx([300, 400], abs=3)
    assert (drawn[155:295, 205:395] == 127).all()
    assert (image == 127).all()


def test_texts_below_the_threshold_are_not_drawn(task, image):
    np.testing.assert_array_equal(task.draw(Sample(image), [box(10, 10, 90, 90, score=0.29)]), image)
    assert (task.draw(Sample(image), [box(10, 10, 90, 90, score=0.3)]) != image).any()


@pytest.mark.parametrize("edges", [(0, 0, 640, 480), (-9, -9, 5, 5), (0, 0, 0, 0), (-9e4, -50, 9e4, 2000)])
def test_texts_at_the_edges_can_be_drawn(task, image, edges):
    task.draw(Sample(image), [box(*edges)])


def test_settings_that_cannot_be_are_refused(task):
    with pytest.raises(ValueError, match="positive"):
        dataclasses.replace(task, pad_divisor=0)
    with pytest.raises(UsageError, match="not a Postprocessor"):
        with_postprocessor("db.Other")
    with pytest.raises(UsageError, match="'model.processing.postprocessor._target_' is missing"):
        build_task(NODE | {"postprocessor": {}})


def test_read_is_that_of_images(task):
    np.testing.assert_array_equal(task.read(task.sample_source()).source, read_image(task.sample_source()))
