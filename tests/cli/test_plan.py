"""`python -m compiler plan`: what is in the way of an engine, before anything is built and without its library."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from compiler.config import compose
from compiler.errors import CompileError, ExitCode, UsageError
from compiler.events import RunStarted, StageFinished
from compiler.pipeline import compile_bundle, find_obstacles
from tests.cli.running import run_verb
from tests.compiling import compile_here
from tests.openmmlab.user_config import CONFIG
from tests.tiny_models import MODULE, write_tiny_models

POSE = "model=simcc-mobilenetv2"


@pytest.fixture
def planned(tmp_path, shared_cache, capsys):
    """Run the verb; return its exit status and what it printed."""

    def run(*overrides):
        status = run_verb("plan", *overrides, f"output={tmp_path / 'outputs'}", f"cache={shared_cache}")
        return status, capsys.readouterr().out

    return run


@pytest.mark.parametrize("backend", ["onnxruntime", "tensorrt", "tensorrt_rtx"])
def test_without_obstacles_it_says_so_and_leaves_no_bundle(planned, tmp_path, backend):
    status, printed = planned(POSE, f"+backend={backend}")
    assert status == ExitCode.PROVEN
    assert printed.strip().endswith(f"nothing stands in the way of an engine for {backend}")
    assert not list(tmp_path.rglob("*.onnx"))


def test_a_gpu_without_fp32_products_is_told_and_fp16_is_the_way_out(planned):
    turing = (POSE, "backend=tensorrt_rtx", "backend.compute_capabilities=[SM75]")
    status, printed = planned(*turing)
    assert status == ExitCode.FAILED
    (row,) = (line for line in printed.splitlines() if "SM75" in line)
    assert row.split()[0] in ("MatMul", "Gemm")
    assert "SM75 has no fp32 matrix product" in row
    assert row.rstrip().endswith("precision=fp16")
    status, printed = planned(*turing, "precision=fp16")
    assert status == ExitCode.PROVEN, printed


@pytest.fixture
def detector(tmp_path, monkeypatch):
    """A detector of one layer, and the folder of its config."""
    folder = write_tiny_models(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield "model=tiny-detector", "--config-dir", str(folder)
    sys.modules.pop(MODULE, None)


def test_a_selection_of_boxes_in_the_graph_is_told_and_the_hosts_is_the_way_out(
    planned, detector, shared_cache, tmp_path
):
    status, printed = planned(*detector, "backend=tensorrt_rtx", "tail=native")
    assert status == ExitCode.FAILED
    (row,) = (line for line in printed.splitlines() if line.startswith("NonMaxSuppression"))
    assert "tail=host" in row

    folders = f"output={tmp_path / 'outputs'}", f"cache={shared_cache}"
    config = compose(["model=tiny-detector", "backend=tensorrt_rtx", "tail=native", *folders], Path(detector[-1]))
    with pytest.raises(CompileError, match="tensorrt_rtx cannot take this Program") as caught:
        compile_bundle(config)
    assert caught.value.exit_code == ExitCode.FAILED
    assert caught.value.where.startswith("NonMaxSuppression (")
    assert caught.value.fix.startswith("tail=host")
    assert not list(tmp_path.glob("outputs/**/lock.json"))

    status, printed = planned(*detector, "backend=tensorrt_rtx")
    assert status == ExitCode.PROVEN, printed


@pytest.mark.parametrize("library", ["tensorrt", "tensorrt_rtx"])
def test_the_library_needs_not_be_installed(planned, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    status, printed = planned(POSE, f"backend={library}")
    assert status == ExitCode.PROVEN, printed


def test_it_makes_the_program_and_nothing_behind_it(tmp_path, shared_cache):
    heard = []
    config = compose([POSE, "backend=tensorrt", "precision=int8", f"output={tmp_path}", f"cache={shared_cache}"])
    assert find_obstacles(config, heard.append) == ()
    assert heard[0] == RunStarted(config.model.name, str(config.deploy_name))
    stages = [event.stage for event in heard if isinstance(event, StageFinished)]
    assert stages == ["load", "export", "rewrite", "calibrate", "precision"]


def test_a_compile_uses_what_the_plan_has_made(planned, tmp_path, shared_cache):
    planned(POSE)
    _, heard = compile_here(tmp_path / "outputs", shared_cache, POSE)
    cached = [event.stage for event in heard if isinstance(event, StageFinished) and event.cached]
    assert cached[:3] == ["load", "export", "rewrite"]


def test_a_folder_of_user_configs_is_read(planned, tmp_path):
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text("defaults: [simcc-mobilenetv2, _self_]\nname: mine\n")
    status, printed = planned("model=mine", "--config-dir", str(tmp_path / "conf"))
    assert status == ExitCode.PROVEN
    assert "mine  pose-detection_mine_onnxruntime_dynamic_256x192" in printed


def test_a_config_of_openmmlab_is_read(planned, tmp_path):
    (tmp_path / "base.py").write_text("default_scope = 'mmpose'\n")
    (tmp_path / "mine.py").write_text(CONFIG)
    quicker = "tail=host", "export.exporter=torchscript"
    status, printed = planned("model=openmmlab", f"model.config={tmp_path / 'mine.py'}", *quicker)
    assert status == ExitCode.PROVEN, printed


def test_the_flags_of_compile_are_refused():
    with pytest.raises(UsageError, match="plan takes no such flag"):
        run_verb("plan", "--multirun", "model=rtmpose")


def test_wrong_usage_is_found_before_anything_is_made(planned, tmp_path):
    with pytest.raises(UsageError, match="there is no backend 'tensort'"):
        planned(POSE, "backend=tensort")
    assert not (tmp_path / "outputs").exists()


def test_the_command_line_ends_with_1_where_something_is_in_the_way(here, shared_cache):
    turing = ("backend=tensorrt_rtx", "backend.compute_capabilities=[SM75]")
    run = here("plan", POSE, *turing, f"cache={shared_cache}")
    assert run.returncode == 1, run.stderr
    assert "tensorrt_rtx cannot take this Program" in run.stdout
