"""The SDK prepares for and decodes top-down models as they do it themselves."""

import dataclasses
import json

import pytest

from compiler.mmdeploy import sdk_model
from tests.tasks.detectors import detector


@pytest.fixture(scope="module")
def task():
    return detector("rtmpose")


def test_the_sdk_files_are_mmdeploys(task, parity):
    folder = parity / "sdk" / "rtmpose_m"
    assert sdk_model(task).pipeline() == json.loads((folder / "pipeline.json").read_text())
    deploy, detail = (json.loads((folder / f"{name}.json").read_text()) for name in ("deploy", "detail"))
    assert sdk_model(task).task_name == deploy["task"]
    assert sdk_model(task).model_name == deploy["models"][0]["name"]
    assert sdk_model(task).codebase() == detail["codebase_config"]
    assert list(task.outputs) == detail["onnx_config"]["output_names"]
    assert list(task.inputs) == detail["onnx_config"]["input_names"]


def test_the_sdk_is_told_the_tasks_own_settings(task):
    changed = dataclasses.replace(task, padding=1.5, codec=dataclasses.replace(task.codec, use_dark=True))
    transform, network, decoder = sdk_model(changed).pipeline(batched=False)["pipeline"]["tasks"]
    assert transform["transforms"][1]["padding"] == 1.5
    assert network["is_batched"] is False
    assert decoder["params"]["use_dark"] is True


def test_the_sdk_is_never_told_to_flip(task):
    flipping = dataclasses.replace(task, flip_test=True)
    assert sdk_model(flipping).pipeline() == sdk_model(task).pipeline()


def test_the_files_of_a_model_of_heat_maps_are_mmdeploys(parity):
    task, folder = detector("hrnet"), parity / "sdk" / "hrnet_w32"
    deploy, detail = (json.loads((folder / f"{name}.json").read_text()) for name in ("deploy", "detail"))
    assert sdk_model(task).pipeline(batched=False) == json.loads((folder / "pipeline.json").read_text())
    assert (sdk_model(task).task_name, sdk_model(task).model_name) == (deploy["task"], deploy["models"][0]["name"])
    assert sdk_model(task).codebase() == detail["codebase_config"]
    assert list(task.outputs) == detail["onnx_config"]["output_names"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("hrnet", {"post_process": "default", "shift_heatmap": True}),
        ("hrnet-w32-dark", {"post_process": "unbiased", "modulate_kernel": 11}),
        ("hrnet-w32-udp", {"post_process": "default", "use_udp": True, "modulate_kernel": 11}),
        ("mspn", {"post_process": "megvii", "modulate_kernel": 5, "shift_heatmap": False}),
    ],
)
def test_the_sdk_is_told_how_to_decode(name, told):
    task = detector(name)
    prepare, _, decoder = sdk_model(task).pipeline()["pipeline"]["tasks"]
    assert decoder["component"] == "TopdownHeatmapSimpleHeadDecode"
    assert told.items() <= decoder["params"].items()
    assert ("use_udp" in decoder["params"]) == prepare["transforms"][2].get("use_udp", False) == task.use_udp
