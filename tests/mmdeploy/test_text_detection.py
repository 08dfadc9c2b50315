"""The SDK prepares for and decodes detectors of text as MMDeploy has it."""

import json
from dataclasses import replace

import pytest

from compiler.config.sizes import SizeRange
from compiler.mmdeploy import sdk_model
from compiler.tasks import build_task
from compiler.tasks.text_detection import TextDetection

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


def test_the_sdk_prepares_as_mmdeploy_has_it(task, parity):
    golden = json.loads((parity / "sdk" / "dbnet_r18" / "pipeline.json").read_text())["pipeline"]["tasks"]
    ours = sdk_model(replace(task, ignore_orientation=True)).pipeline(False)["pipeline"]["tasks"]
    assert ours[0] == golden[0]
    assert {**ours[1], "name": "dbnet"} == golden[1]
    for key in ("type", "module", "name", "component", "input", "output"):
        assert ours[2][key] == golden[2][key]
    # MMDeploy leaves the SDK's own defaults, which are these, but for a width of 5: the SDK drops what is 5 wide too.
    assert ours[2]["params"] == {
        "text_repr_type": "quad",
        "mask_thr": 0.3,
        "min_text_score": 0.3,
        "min_text_width": 4,
        "unclip_ratio": 1.5,
        "max_candidate": 3000,
    }


def test_the_sdk_task_and_codebase_are_mmocrs(task, parity):
    folder = parity / "sdk" / "dbnet_r18"
    assert sdk_model(task).task_name == json.loads((folder / "deploy.json").read_text())["task"]
    assert sdk_model(task).codebase() == json.loads((folder / "detail.json").read_text())["codebase_config"]


@pytest.mark.parametrize("name", ["pse.PSEPostprocessor", "pan.PANPostprocessor"])
def test_the_sdk_is_not_handed_what_crashes_it(name):
    assert sdk_model(with_postprocessor(name)).pipeline() is None


def test_the_sdk_pads_to_the_size_of_a_fixed_engine(task):
    steps = sdk_model(task).pipeline(True, FIXED)["pipeline"]["tasks"][0]["transforms"]
    assert steps[1]["size"] == [128, 96]
    assert steps[3] == {"type": "Pad", "size": [128, 96]}
