"""The files that the SDK opens a bundle by are those that MMDeploy writes for the same model."""

import json

import pytest

from compiler.artifact import Engine, TensorSpec
from compiler.config import compose
from compiler.mmdeploy import write_sdk_files
from compiler.tasks import build_task

INPUT = TensorSpec("input", "float32", ("batch", 3, 256, 192))
OUTPUTS = TensorSpec("simcc_x", "float32", ("batch", 17, 384)), TensorSpec("simcc_y", "float32", ("batch", 17, 512))


def write(folder, *overrides):
    """Write the files for a config, and an engine of RTMPose's shapes."""
    config = compose(overrides)
    engine = Engine(folder, ("end2end.onnx",), {"name": "onnxruntime"}, (INPUT,), OUTPUTS)
    write_sdk_files(folder, config, build_task(config.model.processing), engine)
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.iterdir())}


def test_the_three_files_name_the_engine_its_task_and_its_tensors(tmp_path, parity):
    files = write(tmp_path, "model=rtmpose", "checkpoint=mine.pth", "batch.largest=1")
    golden = {name: json.loads((parity / f"sdk/rtmpose_m/{name}.json").read_text()) for name in files}
    assert set(files) == {"deploy", "detail", "pipeline"}
    assert files["deploy"] == golden["deploy"]
    assert files["pipeline"] == golden["pipeline"]
    assert files["detail"]["codebase_config"] == golden["detail"]["codebase_config"]
    assert files["detail"]["codebase"]["pth"] == "mine.pth"
    for key in ("input_names", "output_names", "save_file"):
        assert files["detail"]["onnx_config"][key] == golden["detail"]["onnx_config"][key]
    assert files["detail"]["onnx_config"]["input_shape"] == [192, 256]
    assert files["detail"]["onnx_config"]["dynamic_axes"]["input"] == {"0": "batch"}


@pytest.mark.parametrize("model", ["pointpillars", "psenet"])
def test_what_the_sdk_cannot_run_gets_no_files(tmp_path, model):
    assert write(tmp_path, f"model={model}") == {}
