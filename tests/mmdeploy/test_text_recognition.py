"""The SDK is told the widths and the characters of a recogniser."""

import dataclasses
import json

import numpy as np
import pytest

from compiler.config.sizes import SizeRange
from compiler.mmdeploy import sdk_model
from compiler.tasks import build_task
from compiler.tasks.text_recognition import (
    TextRecognition,
)

CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
DYNAMIC = SizeRange((32, 32), (32, 100), (32, 640), (32, 4))
FIXED = SizeRange.exactly((32, 100))


@pytest.fixture(scope="module")
def node():
    return {
        "_target_": "compiler.tasks.text_recognition.TextRecognition",
        "dictionary": {"_target_": "compiler.tasks.text_recognition.dictionary.Dictionary", "characters": CHARACTERS},
        "height": 32,
        "min_width": 32,
        "max_width": None,
        "width_divisor": 16,
        "mean": 127,
        "std": 127,
    }


@pytest.fixture(scope="module")
def recognition(node) -> TextRecognition:
    return build_task(node)


def tasks(pipeline):
    return pipeline["pipeline"]["tasks"]


def test_the_sdk_files_are_mmdeploys_but_for_the_characters(recognition, parity):
    folder = parity / "sdk" / "crnn"
    golden = json.loads((folder / "pipeline.json").read_text())
    # MMDeploy names a file of the characters, and we give them themselves.
    golden_params, params = (tasks(found)[2]["params"] for found in (golden, sdk_model(recognition).pipeline()))
    assert golden_params.pop("dict_file") == "dict_file.txt"
    assert "".join(params["dict_list"]) == CHARACTERS
    golden_params["dict_list"] = params["dict_list"]
    assert sdk_model(recognition).pipeline() == golden
    deploy, detail = (json.loads((folder / f"{name}.json").read_text()) for name in ("deploy", "detail"))
    assert sdk_model(recognition).task_name == deploy["task"]
    assert sdk_model(recognition).model_name == deploy["models"][0]["name"]
    assert sdk_model(recognition).codebase() == detail["codebase_config"]
    assert list(recognition.outputs) == detail["onnx_config"]["output_names"]
    assert list(recognition.inputs) == detail["onnx_config"]["input_names"]


def test_the_sdk_is_told_the_engines_widths(recognition):
    rescale, _, padding = tasks(sdk_model(recognition).pipeline(sizes=DYNAMIC))[0]["transforms"][1:4]
    assert rescale["max_width"] == 640
    assert padding == {"type": "Pad", "size_divisor": 1}
    rescale, _, padding = tasks(sdk_model(recognition).pipeline(sizes=FIXED))[0]["transforms"][1:4]
    assert rescale["max_width"] == 100
    assert padding == {"type": "Pad", "size": [100, 32]}


def test_a_bound_of_the_models_own_holds_too(recognition):
    bounded = dataclasses.replace(recognition, max_width=160)
    assert bounded.width(np.zeros((32, 400, 3), np.uint8), DYNAMIC) == 160
    assert tasks(sdk_model(bounded).pipeline(sizes=DYNAMIC))[0]["transforms"][1]["max_width"] == 160
