"""The Python model of an exported bundle, as Triton's Python backend runs it, without a server.

A stand-in for `triton_python_backend_utils` runs the engine's model out of the repository, by its own `config.pbtxt`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from compiler import runtime
from compiler.serving import export_triton
from compiler.serving.bundle_model import BundleModel
from tests.bundles import small_bundle
from tests.conftest import PHOTOGRAPH, REPOSITORY

PHOTOGRAPHS = REPOSITORY / "compiler/tasks/photographs"
SOURCES = {"objects": "coffee.jpg", "pose": "grace_hopper.jpg", "reader": "word.png", "text": "page.png"}

UTILS = """
import json, os
from pathlib import Path

TRITONSERVER_MEMORY_CPU = 0
REPOSITORY = Path(os.environ["REPOSITORY"])
CONFIGS = json.loads((REPOSITORY / "configs.json").read_text())
ran = []

class Tensor:
    def __init__(self, name, array):
        self._name, self._array = name, array
    def name(self):
        return self._name
    def as_numpy(self):
        return self._array

class TritonError:
    def __init__(self, message):
        self._message = message
    def message(self):
        return self._message

class PreferredMemory:
    def __init__(self, kind, device):
        assert kind == TRITONSERVER_MEMORY_CPU

class InferenceResponse:
    def __init__(self, output_tensors=(), error=None):
        self._tensors, self._error = list(output_tensors), error
    def has_error(self):
        return self._error is not None
    def error(self):
        return self._error
    def output_tensors(self):
        return self._tensors

class InferenceRequest:
    def __init__(self, model_name="", requested_output_names=(), inputs=(), preferred_memory=None):
        self.model_name, self.wanted, self._inputs = model_name, list(requested_output_names), list(inputs)
    def inputs(self):
        return self._inputs
    def exec(self):
        import onnxruntime

        config = CONFIGS.get(self.model_name)
        if config is None:
            return InferenceResponse(error=TritonError(f"unknown model {self.model_name}"))
        largest = config.get("max_batch_size", 0)
        for told, tensor in zip(config["input"], self._inputs, strict=True):
            array = tensor.as_numpy()
            dims = ([-1] if largest else []) + list(map(int, told["dims"]))
            assert tensor.name() == told["name"] and array.dtype == "float32" and array.flags.c_contiguous
            assert len(dims) == array.ndim and all(a in (-1, b) for a, b in zip(dims, array.shape, strict=True)), dims
            assert not largest or len(array) <= largest
        assert self.wanted == [one["name"] for one in config["output"]]
        session = onnxruntime.InferenceSession(REPOSITORY / self.model_name / "1" / config["default_model_filename"])
        ran.append(self.model_name)
        found = session.run(self.wanted, {one.name(): one.as_numpy() for one in self._inputs})
        return InferenceResponse([Tensor(*pair) for pair in zip(self.wanted, found, strict=True)])

def get_input_tensor_by_name(request, name):
    return next((one for one in request.inputs() if one.name() == name), None)

def get_output_tensor_by_name(response, name):
    return next((one for one in response.output_tensors() if one.name() == name), None)
"""

SERVE = """
import importlib.util, json, sys
import numpy as np
import triton_python_backend_utils as utils

def opened(name):
    place = utils.REPOSITORY / name / "1/model.py"
    spec = importlib.util.spec_from_file_location("model", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.TritonPythonModel()
    model.initialize({"model_config": json.dumps(utils.CONFIGS[name]), "model_name": name, "model_version": "1"})
    return model

def request(name, one):
    content = np.fromfile(one["file"], np.uint8)
    tensors = [utils.Tensor(utils.CONFIGS[name]["input"][0]["name"], content)]
    if one.get("boxes"):
        tensors.append(utils.Tensor("boxes", np.array(one["boxes"], np.float32)))
    return utils.InferenceRequest(inputs=tensors)

def answer(response):
    if response.has_error():
        return response.error().message()
    (tensor,) = response.output_tensors()
    assert tensor.name() == "results" and tensor.as_numpy().shape == (1,)
    return json.loads(tensor.as_numpy()[0])

asked = json.load(sys.stdin)
models = {name: opened(name) for name in asked}
assert not {"torch", "hydra", "onnxruntime", "onnx"} & set(sys.modules)
told = {}
for name, model in models.items():
    utils.ran.clear()
    answers = list(map(answer, model.execute([request(name, one) for one in asked[name]])))
    told[name] = {"answers": answers, "ran": list(utils.ran)}
json.dump(told, sys.stdout)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory, parse_configs):
    """A repository with the models of small bundles, their configs as Triton hands them on, and the stand-in."""
    folder = tmp_path_factory.mktemp("served")
    for name in SOURCES:
        export_triton(small_bundle(folder / "bundles" / name, name), folder / "models")
    lost = small_bundle(folder / "bundles/lost", "pose")
    small = runtime.Limits(megapixels=0.1)
    export_triton(lost, folder / "models", limits=small)
    (folder / "models/lost_engine").rename(folder / "elsewhere")
    (folder / "models/configs.json").write_text(json.dumps(parse_configs(folder / "models")))
    (folder / "utils").mkdir()
    (folder / "utils/triton_python_backend_utils.py").write_text(UTILS)
    return folder


BOXES = [[80, 20, 310, 460], [20, 10, 200, 300], [0, 0, 100, 100], [5, 5, 50, 60], [1, 1, 30, 40]]


@pytest.fixture(scope="module")
def answered(served):
    """What every model answers, and which models were run for it, from a process of the server's own."""
    broken, small = served / "broken.jpg", served / "small.png"
    broken.write_bytes(b"no image")
    cv2.imwrite(str(small), np.zeros((20, 20, 3), np.uint8))
    asked = {name: [{"file": str(PHOTOGRAPHS / source)}] for name, source in SOURCES.items()}
    asked["pose"] += [
        {"file": str(PHOTOGRAPH), "boxes": BOXES},
        {"file": str(broken)},
        {"file": str(PHOTOGRAPH), "boxes": [[9, 9, 3, 3]]},
    ]
    asked["lost"] = [{"file": str(small)}, {"file": str(PHOTOGRAPH)}]
    path = os.pathsep.join((str(served / "utils"), str(REPOSITORY)))
    environment = {**os.environ, "PYTHONPATH": path, "REPOSITORY": str(served / "models")}
    command = [sys.executable, "-c", SERVE]
    run = subprocess.run(command, input=json.dumps(asked), env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def predicted(served, name, source, *box):
    found = runtime.open(served / "bundles" / name)(source, *box)
    return json.loads(json.dumps([one.to_dict() for one in found]))


@pytest.mark.parametrize("name", SOURCES)
def test_a_request_is_answered_with_what_predict_prints(served, answered, name):
    assert answered[name]["answers"][0] == predicted(served, name, PHOTOGRAPHS / SOURCES[name])
    assert set(answered[name]["ran"]) == {f"{name}_engine"}


def test_boxes_go_through_the_engine_together_and_one_request_that_fails_loses_no_other(served, answered):
    _, boxed, undecodable, empty = answered["pose"]["answers"]
    assert boxed == predicted(served, "pose", PHOTOGRAPH, BOXES)
    assert len(answered["pose"]["ran"]) == 3  # the whole image, then four boxes and one
    assert undecodable.startswith("the image cannot be decoded: ")
    assert empty.startswith("a box has no area: ")


def test_an_engine_that_the_server_does_not_have_is_told_and_limits_are_those_of_the_export(answered):
    unknown, large = answered["lost"]["answers"]
    assert unknown == "the model lost_engine failed: unknown model lost_engine"
    assert large.startswith("the image is too large: ")
    assert answered["lost"]["ran"] == []


def test_what_is_no_number_is_answered_as_text():
    class Model(BundleModel):
        def _results(self, request):
            return [SimpleNamespace(to_dict=lambda: {"score": float("nan")})]

    model = Model()
    model._utils = SimpleNamespace(Tensor=lambda name, array: array, InferenceResponse=lambda tensors: tensors)
    (array,) = model._response(None)
    assert array[0] == b'[{"score": "nan"}]'
