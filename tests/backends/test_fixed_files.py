"""Engines whose files have fixed names: what the lock is asked about is what is opened, whatever a sidecar says."""

import pytest

from compiler.artifact import Engine, TensorSpec
from compiler.backends import build_backend
from compiler.config import compose

FILES = {
    "aotinductor": ("end2end.pt2",),
    "coreml": ("end2end.mlpackage",),
    "ncnn": ("end2end.param", "end2end.bin", "engine_details.json"),
    "openvino": ("end2end.xml", "end2end.bin"),
    "rknn": ("end2end.rknn", "end2end.onnx"),
    "torchscript": ("end2end.pt",),
}
OPTIONS = {"rknn": ("precision=fp16", "shape=static")}
MEASURED = ("simulator.model", "simulator.data", "simulator.quantization.cfg")


def files(name, folder, *said):
    backend, spec = (
        build_backend(compose([f"backend={name}", *OPTIONS.get(name, ())]).backend),
        TensorSpec("x", "float32", (1,)),
    )
    return backend.files(Engine(folder, said, backend.node(), (spec,), (spec,)))


@pytest.mark.parametrize("name", FILES)
def test_a_sidecar_names_no_file_of_an_engine(name, tmp_path):
    assert files(name, tmp_path, "elsewhere") == FILES[name]


def test_an_engine_that_is_simulated_in_int8_is_all_that_was_measured(tmp_path):
    assert files("rknn", tmp_path, "elsewhere", MEASURED[0]) == (*FILES["rknn"], *MEASURED)


def test_an_engine_without_a_fixed_name_is_what_its_sidecar_says(tmp_path):
    assert files("onnxruntime", tmp_path, "other.onnx") == ("other.onnx",)
