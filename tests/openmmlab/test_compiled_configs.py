"""A user's own config folder, with a model and a backend of their own in it."""

from __future__ import annotations

import json
import re

from compiler import build_network

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


def write_configs(folder):
    for name, content in CONFIGS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_own_models_and_backends_compile_like_ours(command_line, shared_cache):
    write_configs(command_line.folder)
    own = ("--config-dir", "conf", f"cache={shared_cache}")
    path = {"PYTHONPATH": str(command_line.folder)}
    run = command_line(*own, "+model=small", "+backend=noisy", **path)
    assert run.returncode == 0, run.stdout + run.stderr
    name = "pose-detection_small_noisy_dynamic_256x192"
    bundle = command_line.folder / "outputs" / name
    assert (bundle / "output_noisy.jpg").is_file()
    assert json.loads((bundle / "deploy.json").read_text())["models"][0]["backend"] == "noisy"

    by_name = command_line(*own, f"+deploy={name}", **path)
    assert by_name.returncode == 0, by_name.stderr
    assert "up to date" in by_name.stdout

    listed = command_line("--config-dir", "conf", "--help")
    assert "ncnn, noisy, onnxruntime" in listed.stdout
    assert "small" in listed.stdout
    assert "noisy" in command_line("doctor", "--config-dir", "conf", **path).stdout


def test_two_backends_share_one_export_and_its_comparison(command_line):
    write_configs(command_line.folder)
    path = {"PYTHONPATH": str(command_line.folder)}
    arguments = ("--config-dir", "conf", "model=small")
    assert command_line(*arguments, "backend=onnxruntime", **path).returncode == 0
    run = command_line(*arguments, "backend=noisy", **path)
    assert run.returncode == 0, run.stderr
    assert re.findall(r"✓ (\w+) +cached", run.stdout) == ["load", "export", "reference", "compare"]


def test_an_engine_that_silently_differs_is_caught(command_line, shared_cache):
    write_configs(command_line.folder)
    path = {"PYTHONPATH": str(command_line.folder)}
    arguments = ("--config-dir", "conf", "model=small", "backend=noisy", "backend.noise=0.01", f"cache={shared_cache}")
    run = command_line(*arguments, **path)
    assert run.returncode == 3
    assert "the first stage beyond its tolerance is 'engine (noisy)'" in run.stdout


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
