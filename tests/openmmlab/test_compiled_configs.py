"""A user's own config folder, with a model and a backend of their own in it."""

from __future__ import annotations

import json
import sys

import pytest

from compiler import build_network
from compiler.errors import ExitCode
from compiler.events import StageFinished
from tests.compiling import compile_here

QUICKLY = "export.exporter=torchscript"
BACKEND = """
from dataclasses import dataclass

import numpy as np

from compiler.backends.onnxruntime import OnnxRuntime


@dataclass(frozen=True, kw_only=True)
class Noisy(OnnxRuntime):
    noise: float = 0.0

    def open(self, engine):
        session = super().open(engine)
        run = session.run

        class Session:
            def run(_, tensors):
                return {name: output + np.float32(self.noise) for name, output in run(tensors).items()}

        return Session()
"""

CONFIGS = {
    "conf/model/small.yaml": """
# A model of one's own: RTMPose-t under another name.
defaults: [rtmpose-t, _self_]
name: small
""",
    "conf/backend/noisy.yaml": """
# A backend of one's own.
defaults: [onnxruntime, _self_]
_target_: noisy_backend.Noisy
name: noisy
noise: 0.0
""",
    "noisy_backend.py": BACKEND,
}


@pytest.fixture
def compile_own(tmp_path, monkeypatch):
    """Compile with a user's own configs in this process, which is quicker than another."""
    write_configs(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    given = ("model=small", "shape=static", QUICKLY)
    yield lambda cache, *overrides: compile_here(
        tmp_path / "outputs", cache, *given, *overrides, configs=tmp_path / "conf"
    )
    sys.modules.pop("noisy_backend", None)


def write_configs(folder):
    for name, content in CONFIGS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_own_models_and_backends_compile_like_ours(command_line, shared_cache):
    write_configs(command_line.folder)
    own = ("--config-dir", "conf", QUICKLY, f"cache={shared_cache}")
    path = {"PYTHONPATH": str(command_line.folder)}
    run = command_line(*own, "+model=small", "+backend=noisy", **path)
    assert run.returncode == 0, run.stdout + run.stderr
    name = "pose-detection_small_noisy_dynamic_256x192"
    (bundle,) = (path for path in command_line.folder.glob(f"outputs/{name}*") if path.is_dir())
    assert (bundle / "output_noisy.jpg").is_file()
    assert json.loads((bundle / "deploy.json").read_text())["models"][0]["backend"] == "noisy"

    by_name = command_line(*own, f"+deploy={name}", **path)
    assert by_name.returncode == 0, by_name.stderr
    assert "up to date" in by_name.stdout

    listed = command_line("--config-dir", "conf", "--help")
    assert "ncnn, noisy, onnxruntime" in listed.stdout
    assert "small" in listed.stdout
    assert "noisy" in command_line("doctor", "--config-dir", "conf", **path).stdout


def test_two_backends_share_one_export_and_its_comparison(compile_own, tmp_path):
    assert compile_own(tmp_path / "cache", "backend=onnxruntime")[0].exit_code == ExitCode.PROVEN
    outcome, heard = compile_own(tmp_path / "cache", "backend=noisy")
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    finished = [event for event in heard if isinstance(event, StageFinished)]
    assert [event.stage for event in finished if event.cached] == ["load", "export", "reference", "compare"]


def test_an_engine_that_silently_differs_is_caught(compile_own, shared_cache):
    outcome, _ = compile_own(shared_cache, "backend=noisy", "backend.noise=0.01")
    assert outcome.exit_code == ExitCode.NOT_PROVEN
    assert "the first stage beyond its tolerance is 'engine (noisy)'" in outcome.problem


def test_a_backend_whose_class_is_missing_is_wrong_usage(command_line):
    write_configs(command_line.folder)
    (command_line.folder / "noisy_backend.py").unlink()
    run = command_line("--config-dir", "conf", "backend=noisy")
    assert run.returncode == 2
    assert "noisy_backend.Noisy cannot be imported" in run.stderr


def test_build_network_knows_own_models_too(tmp_path):
    write_configs(tmp_path)
    network = build_network("small", config_dir=tmp_path / "conf")
    assert list(network.state_dict()) == list(build_network("rtmpose-t").state_dict())
