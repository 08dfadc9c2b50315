"""MMDeploy's own SDK opens our bundles, in an environment that has nothing else of OpenMMLab or of ours.

It finds what our runtime finds, but for traits of its own, which these tests leave room for and nothing else:

- Its crop around a box rounds the region to whole pixels and resizes, where MMPose warps. Where the region is exactly
  as large as the network's input and starts at a whole pixel, both crops are plain copies of the pixels.
- It refines a heat map's peak along both axes or along none, where MMPose decides for each.
- It clips boxes to the last pixels of an image, where MMDetection clips them to its edges, one pixel further.
- It rounds the corners of texts to whole pixels, and may begin with another one.
- A width halfway between two multiples of 16 becomes the wider one, where MMOCR takes the even one.
- It reads what a crop is padded with too, where the engine takes one width only.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from compiler import runtime
from compiler.proof.pairing import Detected, pair
from compiler.runtime.text_spotting import cut_out
from compiler.selection import SelectionConfig
from tests.compiling import compile_here
from tests.conftest import PHOTOGRAPH
from tests.environments import make_environment
from tests.tasks.pages import page
from tests.text_models import TEXT_MODELS, text_bundle
from tests.tiny_models import MODELS, tiny_bundle

CUP = PHOTOGRAPH.with_name("coffee.jpg")

# A box of 153.6 x 204.8 pixels, times the padding of 1.25, is a region of 192 x 256.
WIDTH, HEIGHT = 192 / 1.25, 256 / 1.25
CORNERS = [(160.2, 140.6), (220.2, 100.6), (100.2, 300.6)]

POSE_SCRIPT = """
import json, sys
import cv2, mmdeploy_runtime
detector = mmdeploy_runtime.PoseDetector(sys.argv[1], "cpu", 0)
image, boxes = cv2.imread(sys.argv[3]), json.loads(sys.argv[4])
alone = [detector(image, [box])[0].tolist() for box in boxes]
json.dump({"alone": alone, "together": detector(image, boxes).tolist()}, open(sys.argv[2], "w"))
"""

DETECTION_SCRIPT = """
import json, sys
import cv2, mmdeploy_runtime
detector = mmdeploy_runtime.Detector(sys.argv[1], "cpu", 0)
found = [detector(cv2.imread(image))[:2] for image in sys.argv[3:]]
json.dump([[dets.tolist(), labels.tolist()] for dets, labels in found], open(sys.argv[2], "w"))
"""

TEXT_DETECTION_SCRIPT = """
import json, sys
import cv2, mmdeploy_runtime
detector = mmdeploy_runtime.TextDetector(sys.argv[1], "cpu", 0)
json.dump([detector(cv2.imread(image)).tolist() for image in sys.argv[3:]], open(sys.argv[2], "w"))
"""

TEXT_RECOGNITION_SCRIPT = """
import json, sys
import cv2, mmdeploy_runtime
recognizer = mmdeploy_runtime.TextRecognizer(sys.argv[1], "cpu", 0)
json.dump([recognizer(cv2.imread(image)) for image in sys.argv[3:]], open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def sdk(tmp_path_factory):
    """Runs a script where the SDK is, on a bundle, and returns the JSON that it writes."""
    if sys.version_info >= (3, 12):
        pytest.skip("mmdeploy-runtime has no wheel for this Python")
    folder = tmp_path_factory.mktemp("sdk")
    python = make_environment(folder, "mmdeploy-runtime==1.3.1", "numpy<2", "opencv-python-headless<4.12")

    def run(script, bundle, *arguments):
        found = folder / "found.json"
        done = subprocess.run(
            [python, "-c", script, bundle, found, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(found.read_text())

    return run


@pytest.fixture(scope="module")
def compiled(tmp_path_factory, shared_folder, shared_cache):
    """Compiles a model, and returns its bundle."""
    folder = tmp_path_factory.mktemp("compiled")

    def compile(model: str, shape: str) -> Path:
        if model in MODELS:
            return tiny_bundle(shared_folder, model, shape)
        if model in TEXT_MODELS:
            return text_bundle(shared_folder, shared_cache, model, shape)
        outcome, _ = compile_here(folder, shared_cache, f"model={model}", f"shape={shape}")
        assert not outcome.problem
        return outcome.bundle

    return compile


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        ("rtmpose-t", "dynamic"),
        pytest.param("rtmpose-t", "static", marks=pytest.mark.slow),
        pytest.param("hrnet", "static", marks=pytest.mark.slow),
        pytest.param("hrnet", "dynamic", marks=pytest.mark.slow),
    ],
)
def test_the_sdk_finds_the_same_key_points_in_our_bundle(sdk, compiled, model, shape):
    bundle = compiled(model, shape)
    boxes = [[x, y, x + WIDTH, y + HEIGHT] for x, y in CORNERS]
    # The SDK counts the pixels of a box with both ends included.
    inclusive = [[x1, y1, x2 - 1, y2 - 1] for x1, y1, x2, y2 in boxes]
    found = sdk(POSE_SCRIPT, bundle, PHOTOGRAPH, json.dumps(inclusive))
    theirs = np.array(found["alone"])
    assert theirs.shape == (3, 17, 3)
    predictor = runtime.open(bundle)
    poses = predictor(PHOTOGRAPH, boxes)
    ours = np.array([np.c_[pose.keypoints, pose.scores] for pose in poses])
    distances = np.abs(ours - theirs)[..., :2].max(axis=-1)
    rounded = _beside_an_edge(theirs, boxes) if model == "hrnet" else np.zeros_like(distances, bool)
    assert rounded.mean() < 0.5
    assert distances[~rounded].max() < 0.01
    # A peak is refined by a quarter of the heat map's pixel, which is four of the image.
    assert distances.max() < 1.01
    assert np.abs(ours - theirs)[..., 2].max() < 1e-4
    assert np.abs(found["together"] - theirs).max() < 0.01
    # The test would prove nothing if the key points did not depend on the pixels.
    relative = [points[:, :2] - corner for points, corner in zip(theirs, CORNERS, strict=True)]
    assert np.abs(relative[0] - relative[2]).max() > 10


def _beside_an_edge(points, boxes):
    """Tell which points lie in the outermost two rows or columns of their heat maps."""
    starts = np.array(boxes)[:, None, :2] - np.array([192 - WIDTH, 256 - HEIGHT]) / 2
    pixels = np.rint((points[..., :2] - starts) / 4)
    return ((pixels < 2) | (pixels > np.array([48, 64]) - 3)).any(axis=-1)


@pytest.mark.parametrize(
    ("model", "shape", "images"),
    [
        # One is wide and one is high; and an engine is right only if it is right again.
        ("tiny-detector", "static_320x320", [CUP, PHOTOGRAPH, CUP]),
        pytest.param("rtmdet-tiny", "static_320x320", [CUP, PHOTOGRAPH, CUP], marks=pytest.mark.slow),
        pytest.param("rtmdet-tiny", "dynamic", [CUP, PHOTOGRAPH, CUP], marks=pytest.mark.slow),
        # The SDK does not fit what is high into what is wide.
        pytest.param("rtmdet-tiny", "static_384x640", [CUP, CUP], marks=pytest.mark.slow),
        # It is padded after it is normalised, and has more candidates than it looks at.
        pytest.param("retinanet-r18", "static_320x320", [CUP, PHOTOGRAPH, CUP], marks=pytest.mark.slow),
    ],
)
def test_the_sdk_finds_the_same_objects_in_our_bundle(sdk, compiled, model, shape, images):
    bundle = compiled(model, shape)
    found = sdk(DETECTION_SCRIPT, bundle, *images)
    assert found[0] == found[-1]
    predictor = runtime.open(bundle)
    for image, results in zip(images, found, strict=True):
        theirs, their_labels = map(np.array, results)
        ours, our_labels = _as_the_sdk_clips(predictor(image), cv2.imread(str(image)).shape)
        assert len(theirs) == len(ours) > 50
        pairing = pair(_detected(ours, our_labels), _detected(theirs, their_labels), SelectionConfig())
        order = [row for _, row in pairing.pairs]
        assert len(order) == len(ours)
        assert (their_labels[order] == our_labels).all()
        assert np.abs(theirs[order, :4] - ours[:, :4]).max() < 0.01
        assert np.abs(theirs[order, 4] - ours[:, 4]).max() < 1e-4
    # The test would prove nothing if the objects did not depend on the pixels.
    assert len(images) == 2 or found[0] != found[1]


def _detected(dets, labels):
    return Detected(dets[:, :4], dets[:, 4], labels)


def _as_the_sdk_clips(detections, shape):
    """Return boxes with scores, and labels, without what lies beyond the image's last pixels."""
    dets = np.array([[*one.box, one.score] for one in detections])
    labels = np.array([one.label for one in detections])
    dets[:, 2:4] = np.minimum(dets[:, 2:4], [shape[1] - 1, shape[0] - 1])
    left = (dets[:, :2] <= dets[:, 2:4]).all(axis=1)
    return dets[left], labels[left]


@pytest.fixture
def pages(tmp_path):
    """A page of printed words, wide and high."""
    printed, _ = page()
    return write_images(tmp_path, [printed, np.rot90(printed)])


def write_images(folder, images):
    paths = [folder / f"{index}.png" for index in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), image)
    return paths


@pytest.mark.parametrize(
    ("model", "shape", "turned"),
    [
        ("tiny-text", "static_480x640", False),
        pytest.param("dbnet", "static_480x640", False, marks=pytest.mark.slow),
        pytest.param("dbnet", "dynamic_320x320-480x480", True, marks=pytest.mark.slow),
    ],
)
def test_the_sdk_finds_the_same_texts_in_our_bundle(sdk, compiled, pages, model, shape, turned):
    bundle = compiled(model, shape)
    # The SDK does not fit what is high into what is wide.
    images = [pages[0], pages[turned], pages[0]]
    found = sdk(TEXT_DETECTION_SCRIPT, bundle, *images)
    assert found[0] == found[-1]
    predictor = runtime.open(bundle)
    for image, theirs in zip(images, found, strict=True):
        ours = predictor(image)
        assert len(ours) >= 7
        for one, (*corners, score) in zip(ours, theirs, strict=True):
            starts = (np.roll(np.reshape(corners, (4, 2)), start, axis=0) for start in range(4))
            assert min(np.abs(one.polygon - polygon).max() for polygon in starts) < 0.51
            assert score == pytest.approx(one.score, abs=1e-4)
    # The test would prove nothing if the texts did not depend on the pixels.
    assert not turned or found[0] != found[1]


@pytest.mark.parametrize(
    ("model", "shape", "least_width"),
    [
        ("tiny-reader", "dynamic_32x32-32x640", 0),
        pytest.param("crnn", "dynamic_32x32-32x640", 0, marks=pytest.mark.slow),
        pytest.param("crnn", "static_32x96", 96, marks=pytest.mark.slow),
    ],
)
def test_the_sdk_reads_the_same_texts_with_our_bundle(sdk, compiled, tmp_path, model, shape, least_width):
    bundle = compiled(model, shape)
    predictor = runtime.open(bundle)
    printed, words = page()
    crops = [cut_out(printed, word.quad) for word in words]
    crops = [crop for crop in crops if predictor.task.width(crop) >= least_width and not _is_rounded_down(crop)]
    assert len(crops) >= 10
    found = sdk(TEXT_RECOGNITION_SCRIPT, bundle, *write_images(tmp_path, crops))
    for crop, (theirs, scores) in zip(crops, found, strict=True):
        (ours,) = predictor(crop)
        assert theirs == ours.text
        assert scores == pytest.approx(ours.character_scores, abs=1e-4)
    # The test would prove nothing if the texts did not depend on the pixels.
    texts = {text for text, _ in found}
    assert len(texts) > len(crops) / 2
    assert sum(map(len, texts)) > 3 * len(texts)


def _is_rounded_down(crop):
    """Tell whether a crop, brought to a height of 32, is halfway between an even multiple of 16 and the next."""
    height, width = crop.shape[:2]
    return math.ceil(32 / height * width) % 32 == 8
