"""The verb `compile`, with the verb and without; `tests/pipeline/test_compile.py` looks at what it leaves behind."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from compiler import pipeline
from compiler.errors import CompileError
from tests.cli.running import run_verb


@pytest.fixture
def compiled(monkeypatch):
    """The config that reaches the pipeline, which is stopped there."""
    reached = SimpleNamespace(config=None)

    def stop(config, listen):
        reached.config = config
        raise CompileError("far enough")

    monkeypatch.setattr(pipeline, "compile_bundle", stop)
    return reached


@pytest.mark.parametrize(
    "words",
    [
        ["+backend=tensorrt_rtx", "+model=rtmpose-s"],
        ["compile", "backend=tensorrt_rtx", "model=rtmpose-s"],
        ["deploy=pose-detection_rtmpose-s_tensorrt_rtx_dynamic"],
    ],
)
def test_the_config_of_the_command_line_reaches_the_pipeline(compiled, words):
    with pytest.raises(CompileError, match="far enough"):
        run_verb(*words)
    assert (compiled.config.model.name, compiled.config.backend["name"]) == ("rtmpose-s", "tensorrt_rtx")


def test_a_folder_of_ones_own_may_stand_between_overrides(compiled, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.yaml").write_text("defaults: [rtmpose-t, _self_]\nname: mine\n")
    with pytest.raises(CompileError, match="far enough"):
        run_verb("model=mine", "-cd", str(tmp_path), "shape=static")
    assert str(compiled.config.deploy_name) == "pose-detection_mine_onnxruntime_static_256x192"


def test_a_bare_word_is_no_override(compiled):
    with pytest.raises(CompileError, match="Error parsing override 'rtmpose'"):
        run_verb("compile", "rtmpose")
    assert compiled.config is None
