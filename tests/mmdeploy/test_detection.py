"""The SDK prepares for and decodes detectors as they do it themselves."""

import json

from compiler.config.sizes import SizeRange
from compiler.mmdeploy import sdk_model
from tests.tasks.detectors import detector

FIXED = SizeRange((96, 128), (96, 128), (96, 128), (32, 32))


def test_the_sdk_decodes_with_what_mmdeploy_writes(parity):
    golden = json.loads((parity / "sdk" / "rtmdet_tiny" / "pipeline.json").read_text())["pipeline"]["tasks"]
    ours = sdk_model(detector("rtmdet-tiny")).pipeline(False)["pipeline"]["tasks"]
    for key in ("module", "component", "params"):
        assert ours[2][key] == golden[2][key]
    normalize, collect = (
        next(step for step in golden[0]["transforms"] if step["type"] == kind) for kind in ("Normalize", "Collect")
    )
    assert normalize in ours[0]["transforms"]
    assert collect in ours[0]["transforms"]


def test_the_sdk_does_not_drop_what_yolov3_multiplied_below_the_threshold():
    params = sdk_model(detector("yolov3")).pipeline()["pipeline"]["tasks"][2]["params"]
    assert params["score_thr"] == 0
    assert "conf_thr" not in params


def test_the_codebase_is_mmdetections(parity):
    golden = json.loads((parity / "sdk" / "rtmdet_tiny" / "detail.json").read_text())["codebase_config"]
    ours = sdk_model(detector("rtmdet-tiny")).codebase()
    assert ours.keys() == golden.keys()
    assert ours["post_processing"].keys() == golden["post_processing"].keys()


def transforms(task, sizes=None):
    preprocess = sdk_model(task).pipeline(True, sizes)["pipeline"]["tasks"][0]["transforms"]
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
