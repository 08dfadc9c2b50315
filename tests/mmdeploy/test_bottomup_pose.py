"""The SDK lays images into the corner."""

import pytest

from compiler.config.sizes import SizeRange
from compiler.mmdeploy import sdk_model
from tests.tasks.detectors import detector

FIXED = SizeRange((96, 128), (96, 128), (96, 128), (32, 32))


@pytest.fixture(scope="module")
def task():
    return detector("yoloxpose")


def test_the_sdk_lays_the_image_into_the_corner(task):
    tasks = sdk_model(task).pipeline(True, FIXED)["pipeline"]["tasks"]
    resize, padding = tasks[0]["transforms"][1:3]
    assert resize == {"type": "Resize", "keep_ratio": True, "size": [96, 96]}
    assert padding == {"type": "Pad", "size": [128, 96], "pad_val": {"img": [114, 114, 114]}}
    assert (tasks[2]["module"], tasks[2]["component"]) == ("mmpose", "YOLOXPose")
    assert sdk_model(task).codebase()["type"] == "mmpose"
