"""MMDeploy's own SDK opens our bundle, in an environment that has nothing else of OpenMMLab or of ours.

Its crop is not MMPose's: it rounds the region to whole pixels and resizes, where MMPose warps. Where the region is
exactly as large as the network's input and starts at a whole pixel, both crops are plain copies of the pixels, and the
two have to agree on everything else: channel order, normalisation, network, decoding and the way back to the image.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from compiler import runtime
from tests.conftest import NAME, PHOTOGRAPH
from tests.environments import make_environment

# A box of 153.6 x 204.8 pixels, times the padding of 1.25, is a region of 192 x 256.
WIDTH, HEIGHT = 192 / 1.25, 256 / 1.25
CORNERS = [(160.2, 140.6), (220.2, 100.6), (100.2, 300.6)]

SCRIPT = """
import json, sys
import cv2, mmdeploy_runtime
detector = mmdeploy_runtime.PoseDetector(sys.argv[1], "cpu", 0)
image = cv2.imread(sys.argv[2])
results = [detector(image, [box])[0].tolist() for box in json.loads(sys.argv[3])]
json.dump(results, open(sys.argv[4], "w"))
"""


@pytest.fixture(scope="module")
def sdk(tmp_path_factory):
    if sys.version_info >= (3, 12):
        pytest.skip("mmdeploy-runtime has no wheel for this Python")
    folder = tmp_path_factory.mktemp("sdk")
    return make_environment(folder, "mmdeploy-runtime==1.3.1", "numpy<2", "opencv-python-headless<4.12")


@pytest.fixture(params=["dynamic", "static"])
def engine(request, bundle, command_line, shared_cache):
    if request.param == "dynamic":
        return bundle
    run = command_line("model=rtmpose-t", "shape=static", f"cache={shared_cache}")
    assert run.returncode == 0, run.stderr
    name = NAME.replace("simcc", "rtmpose-t").replace("dynamic", "static")
    return command_line.folder / "outputs/rtmpose-t" / name


def test_the_sdk_finds_the_same_key_points_in_our_bundle(sdk, engine, tmp_path):
    boxes = [[x, y, x + WIDTH, y + HEIGHT] for x, y in CORNERS]
    # The SDK counts the pixels of a box with both ends included.
    inclusive = [[x1, y1, x2 - 1, y2 - 1] for x1, y1, x2, y2 in boxes]
    found = tmp_path / "found.json"
    subprocess.run(
        [sdk, "-c", SCRIPT, engine, PHOTOGRAPH, json.dumps(inclusive), found], check=True, capture_output=True
    )
    theirs = np.array(json.loads(found.read_text()))
    ours = runtime.open(engine)(PHOTOGRAPH, boxes)
    assert theirs.shape == (3, 17, 3)
    for pose, reference in zip(ours, theirs, strict=True):
        assert np.abs(pose.keypoints - reference[:, :2]).max() < 0.01
        assert np.abs(pose.scores - reference[:, 2]).max() < 1e-4
    # The test would prove nothing if the key points did not depend on the pixels.
    relative = [reference[:, :2] - corner for reference, corner in zip(theirs, CORNERS, strict=True)]
    assert np.abs(relative[0] - relative[2]).max() > 10
