"""The verb `doctor`: what is installed, what each backend can do here, and what to install for the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy
import pytest
import torch

from compiler.backends import Probe
from compiler.backends.onnxruntime import OnnxRuntime
from compiler.config.search import config_loader
from compiler.doctor import diagnosis
from compiler.doctor.smoke import FAILED, WORKS, Smoke
from compiler.errors import ExitCode, UsageError
from compiler.stages.tools import LIBRARIES
from tests.cli.running import run_verb
from tests.conftest import REPOSITORY


def test_it_lists_versions_and_backends(capsys):
    assert run_verb("doctor") == ExitCode.PROVEN
    libraries, backends, processor, gpu, kept, *_ = capsys.readouterr().out.split("\n\n")
    assert torch.__version__ in libraries
    assert {"hydra-core", *LIBRARIES} <= {line.split()[0] for line in libraries.splitlines()}
    rows = [line for line in backends.strip().splitlines()[1:] if not line.startswith(" ")]  # what is said of one below
    assert [row.split()[0] for row in rows] == config_loader().get_group_options("backend")
    assert processor.startswith("processor ")
    assert {"int8", "bf16", "fp16"} <= set(processor.split())
    assert gpu.startswith("GPU ")
    assert "outputs/.cache" in kept


def test_a_backend_of_ones_own_is_listed_too(capsys, tmp_path):
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend/careful.yaml").write_text("defaults: [onnxruntime, _self_]\nname: careful\n")
    assert run_verb("doctor", "--config-dir", str(tmp_path)) == ExitCode.PROVEN
    assert "careful" in capsys.readouterr().out


def test_one_of_ones_own_that_cannot_be_made_stops_nothing(capsys, tmp_path):
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend/broken.yaml").write_text("_target_: nobody.has.This\nname: broken\n")
    assert run_verb("doctor", "backend=broken,onnxruntime", "--config-dir", str(tmp_path)) == ExitCode.PROVEN
    printed = capsys.readouterr().out
    assert "broken" in printed
    assert "nobody" in printed


@pytest.mark.parametrize("name", ["onnxruntime", "rknn"])
def test_a_backend_is_looked_at_with_the_options_that_a_compile_has(name):
    assert diagnosis.backend_nodes(None)[name]() == diagnosis._composed(name, None)


def test_as_json_it_is_all_there_for_programs(capsys):
    assert run_verb("doctor", "--json", "backend=onnxruntime,rknn") == ExitCode.PROVEN
    found = json.loads(capsys.readouterr().out)
    assert (found["version"], found["ok"], found["problem"]) == (1, True, "")
    assert found["python"]["executable"] == sys.executable
    assert found["libraries"]["numpy"] == numpy.__version__
    assert [one["name"] for one in found["backends"]] == ["onnxruntime", "rknn"]
    assert found["backends"][0]["usable"]
    assert found["backends"][0]["smoke"] is None
    assert found["processor"]["meanings"].keys() == {"int8", "bf16", "fp16"}
    assert {"extras", "gpus", "caches", "advice"} <= found.keys()


def test_a_script_is_told_by_the_exit_status_whether_a_backend_can_be_used(capsys, monkeypatch):
    missing = "onnxruntime is not installed: pip install onnxruntime"
    monkeypatch.setattr(OnnxRuntime, "probe", lambda self: Probe("", problem=missing))
    assert run_verb("doctor", "--json", "backend=onnxruntime") == ExitCode.FAILED
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["problem"]) == (False, "onnxruntime cannot be used here")
    assert "pip install onnxruntime  # onnxruntime" in found["advice"]
    assert run_verb("doctor", "backend=onnxruntime") == ExitCode.FAILED
    assert "problem: onnxruntime cannot be used here" in capsys.readouterr().out


@pytest.mark.parametrize(("status", "code"), [(WORKS, ExitCode.PROVEN), (FAILED, ExitCode.FAILED)])
def test_what_was_tried_out_is_said_and_counts(capsys, monkeypatch, status, code):
    monkeypatch.setattr(diagnosis, "smoke", lambda backend, probe: Smoke(status, "as it went", 1.5))
    assert run_verb("doctor", "--smoke", "backend=onnxruntime") == code
    captured = capsys.readouterr()
    assert f"{status}: as it went (1.5 s)" in captured.out
    assert captured.err == "trying onnxruntime\n"


def test_a_backend_that_there_is_not_is_wrong_usage():
    with pytest.raises(UsageError, match="there is no backend 'opnvino'") as caught:
        run_verb("doctor", "backend=opnvino")
    assert "openvino" in caught.value.fix
    with pytest.raises(UsageError, match="there is no backend 'opnvino'"):
        run_verb("doctor", "--make", "opnvino")
    with pytest.raises(UsageError, match="needs no environment of its own"):
        run_verb("doctor", "--make", "onnxruntime")


BASE = ("numpy", "cv2", "yaml", "filelock", "packaging", "imagesize", "pyclipper")
"""What is installed with the compiler alone, by what is imported."""


@pytest.fixture
def bare(tmp_path):
    """Runs the compiler where nothing is installed but what it needs itself: no extra, no backend."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in BASE:
        origin = Path(find_spec(name).origin)
        place = origin.parent if origin.name == "__init__.py" else origin
        for beside in (place, *place.parent.glob(f"{name}.libs"), *place.parent.glob(f"{name}-*.dist-info")):
            (packages / beside.name).symlink_to(beside)
    for beside in (packages / "numpy").resolve().parent.glob("opencv_python*"):
        (packages / beside.name).symlink_to(beside)

    def run(*words):
        script = (
            f"import sys; sys.path += [{str(packages)!r}, {str(REPOSITORY)!r}]\n"
            f"from compiler.__main__ import main\nsys.exit(main({list(words)!r}))"
        )
        command = [sys.executable, "-I", "-S", "-c", script]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)

    return run


def test_without_any_extra_it_says_what_to_install_and_ends_with_1(bare):
    run = bare("doctor", "--json")
    assert not run.stderr, run.stderr
    found = json.loads(run.stdout)
    assert run.returncode == ExitCode.FAILED
    assert found["problem"] == "no backend can be used here"
    assert {name for name, version in found["libraries"].items() if version} == {
        "numpy",
        "opencv-python-headless",
        *(["pyclipper"] if found["libraries"]["pyclipper"] else []),
    }
    assert [one["name"] for one in found["backends"]] == config_loader().get_group_options("backend")
    installs = {one["name"]: one["install"] for one in found["backends"]}
    assert installs["onnxruntime"] == "pip install 'deploy-compiler[onnxruntime]'"
    assert installs["openvino"] == "pip install 'deploy-compiler[openvino]'"
    assert installs["rknn"] == "python -m compiler doctor --make rknn"
    page = bare("doctor", "--smoke")
    assert page.returncode == ExitCode.FAILED
    assert "problem: no backend can be used here" in page.stdout
