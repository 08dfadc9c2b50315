"""Where bundles go: the path says the model once, and what it ends in rebuilds the config."""

from pathlib import Path

import pytest

from compiler.config import compose
from compiler.config.plain_names import plain_name, with_own_name


@pytest.mark.parametrize(
    ("overrides", "path"),
    [
        (["model=rtmpose"], "outputs/rtmpose/pose-detection_simcc_onnxruntime_dynamic_256x192"),
        (["model=rtmpose-s"], "outputs/pose-detection_rtmpose-s_onnxruntime_dynamic_256x192"),
        (["model=rtmdet-tiny"], "outputs/detection_rtmdet-tiny_onnxruntime_dynamic_640x640"),
        (["model=crnn"], "outputs/text-recognition_crnn_onnxruntime_dynamic_32x100"),
        (["model=rtmpose", "model.name=mine"], "outputs/pose-detection_mine_onnxruntime_dynamic_256x192"),
        (["model=torch", "model.target=nets:Two"], "outputs/tensors_nets-two_onnxruntime_dynamic"),
        (["model=onnx", "model.file=some/Net v2.onnx"], "outputs/tensors_net-v2_onnxruntime_dynamic"),
        (["model=onnx", "model.file=a.onnx", "model.name=b"], "outputs/tensors_b_onnxruntime_dynamic"),
        (["model=onnx", "model.file='Ü.onnx'"], "outputs/tensors_onnx_onnxruntime_dynamic"),
        (["model=crnn", "output=elsewhere"], "elsewhere/text-recognition_crnn_onnxruntime_dynamic_32x100"),
    ],
)
def test_the_path_says_the_model_once(overrides, path):
    config = compose(overrides)
    assert config.bundle == Path(path)
    assert config.bundle.name == str(config.deploy_name)


@pytest.mark.parametrize("model", ["rtmpose", "rtmpose-s", "rtmdet-tiny", "crnn", "dbnetpp-r50-dcn"])
def test_what_a_path_ends_in_rebuilds_the_config(model):
    config = compose([f"model={model}", "shape=static"])
    assert compose([f"deploy={config.bundle.name}"]) == config


def test_a_setting_that_no_name_holds_keeps_its_digest():
    config = compose(["model=rtmdet-tiny", "batch.largest=8"])
    assert config.bundle.name.startswith("detection_rtmdet-tiny_onnxruntime_dynamic_640x640+v")


def test_a_file_of_a_long_or_forbidden_name_gives_a_name_all_the_same():
    def named(file):
        return with_own_name({"model": {"name": "", "algo": "onnx", "file": file}})["model"]["name"]

    assert named(f"{'a' * 300}.onnx") == "a" * 100
    assert named("con.onnx") == "onnx", "it is a device on Windows"
    assert plain_name("Net v2") == "net-v2"
