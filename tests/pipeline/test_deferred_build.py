"""A bundle that was made where no engine can be built, and `python -m compiler build` where one can."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from compiler import runtime
from compiler.artifact import Engine, Lock, file_digests
from compiler.backends import Obstacle
from compiler.backends.tensorrt import TensorRT
from compiler.cli.sweep import sweep
from compiler.errors import CompileError, ExitCode, UsageError
from compiler.events import StageFinished, StageProgressed
from compiler.graphs import OnnxRuntimeSession
from compiler.pipeline import build_bundle
from compiler.report import Report
from tests.bundles import change_json
from tests.compiling import compile_here
from tests.conftest import NAME
from tests.pipeline.conftest import NO_DRIVER

pytest.importorskip("tensorrt_rtx")

MODEL = "model=simcc-mobilenetv2"
TENSORRT = (MODEL, "backend=tensorrt", "precision=fp16")
RTX = (MODEL, "backend=tensorrt_rtx")


@pytest.fixture
def postponed(tmp_path, shared_cache, no_gpu):
    """A bundle for TensorRT, made where TensorRT is not installed."""
    outcome, _ = compile_here(tmp_path / "outputs", shared_cache, *TENSORRT)
    return outcome


@pytest.fixture
def built_by_rtx(tmp_path, shared_cache, no_gpu):
    """A bundle for TensorRT-RTX, whose engine was built and not run; and what was heard."""
    return compile_here(tmp_path / "outputs", shared_cache, *RTX)


def test_without_the_library_the_bundle_holds_what_an_engine_is_built_from(postponed):
    bundle = postponed.bundle
    assert (bundle / "end2end.onnx").is_file()
    assert (bundle / "build_engine.py").is_file()
    assert not (bundle / "end2end.engine").exists()
    assert Engine.load(bundle).file == "end2end.engine"
    report = json.loads((bundle / "report.json").read_text())
    assert report["engine_bytes"] is None
    assert not report["proven"]
    assert [proof["stage"] for proof in report["proofs"]][-1] == "fp16", "the Program is proven all the same"
    assert all(proof["within"] for proof in report["proofs"])


def test_it_says_that_nothing_is_proven_and_both_ways_to_go_on(postponed):
    assert postponed.exit_code == ExitCode.NOT_PROVEN
    assert (
        "no engine was built: tensorrt is not installed: pip install 'deploy-compiler[tensorrt]'" in postponed.problem
    )
    assert f"python -I {postponed.bundle}/build_engine.py" in postponed.problem
    assert f"python -m compiler build {postponed.bundle}" in postponed.problem
    assert postponed.places["picture"].name == "output_program.jpg"
    assert postponed.places["picture"].is_file()


def test_a_bundle_without_an_engine_is_up_to_date_and_still_unproven(postponed, shared_cache):
    again, _ = compile_here(postponed.bundle.parent, shared_cache, *TENSORRT)
    assert again.up_to_date
    assert again.exit_code == ExitCode.NOT_PROVEN


def test_the_row_of_a_sweep_says_not_proven_and_why(tmp_path, shared_cache, no_gpu):
    status = sweep([*TENSORRT, f"cache={shared_cache}", f"output={tmp_path}"])
    assert status == ExitCode.NOT_PROVEN
    (row,) = json.loads(next(tmp_path.glob("multirun-*.json")).read_text())
    assert (row["result"], row["engine_bytes"]) == ("not proven", None)
    assert "no engine was built" in row["problem"]


def test_where_the_library_is_the_engine_is_built_and_proven(postponed, with_tensorrt):
    heard = []
    outcome = build_bundle(postponed.bundle, heard.append)
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    assert outcome.engine_bytes == (postponed.bundle / "end2end.engine").stat().st_size
    assert [proof.stage for proof in outcome.proofs][-2:] == ["fp16", "engine (tensorrt)"]
    assert outcome.proofs[-1].reference == "program"
    assert outcome.places["picture"].name == "output_tensorrt.jpg"
    assert outcome.places["picture"].is_file()
    report = Report.load(postponed.bundle)
    assert [stage.stage for stage in report.stages] == [
        "load",
        "export",
        "rewrite",
        "precision",
        "reference",
        "compare",
        "verify",
        "build",
    ]
    assert not report.unproven
    assert [event.stage for event in heard if isinstance(event, StageFinished)] == ["build"]


def test_the_engine_of_a_bundle_of_the_first_layout_is_built(tmp_path, with_tensorrt):
    bundle = Path(shutil.copytree(Path(__file__).parents[1] / "data/first_layout/tensorrt", tmp_path / "bundle"))
    for picture in Report.load(bundle).pictures:
        cv2.imwrite(str(bundle / picture), np.zeros((4, 4, 3), np.uint8))  # its own are not among the tests' data
    change_json(bundle / "lock.json", made_from={"checkpoint": "0" * 64})
    outcome = build_bundle(bundle, trust_changes=True)
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    assert (bundle / "end2end.engine").is_file()
    assert Lock.load(bundle).made_from == {"checkpoint": "0" * 64}, "it is made from what it was"


def test_an_engine_that_was_built_later_is_opened_like_any_other(postponed, with_tensorrt):
    build_bundle(postponed.bundle)
    assert runtime.open(postponed.bundle).engine.file == "end2end.engine"


def test_an_engine_that_differs_from_its_program_is_not_proven(postponed, with_tensorrt, monkeypatch):
    class Wrong(OnnxRuntimeSession):
        def run(self, tensors):
            return {name: output + 1 for name, output in super().run(tensors).items()}

    monkeypatch.setattr(TensorRT, "open", lambda self, engine: Wrong(engine.folder / "end2end.onnx"))
    outcome = build_bundle(postponed.bundle)
    assert outcome.exit_code == ExitCode.NOT_PROVEN
    assert "the first stage beyond its tolerance is 'engine (tensorrt)'" in outcome.problem
    assert (postponed.bundle / "end2end.engine").is_file()


def test_a_bundle_is_built_from_within(postponed, with_tensorrt, monkeypatch):
    monkeypatch.chdir(postponed.bundle)
    assert build_bundle(Path()).exit_code == ExitCode.PROVEN
    assert (postponed.bundle / "end2end.engine").is_file()


def test_a_bundle_that_was_moved_is_built_where_it_lies(postponed, with_tensorrt, tmp_path):
    moved = shutil.move(postponed.bundle, tmp_path / "elsewhere")
    assert build_bundle(moved).exit_code == ExitCode.PROVEN
    assert (moved / "end2end.engine").is_file()


def test_the_lock_holds_the_new_files_and_the_old_key(postponed, with_tensorrt):
    lock_file = postponed.bundle / "lock.json"
    before = json.loads(lock_file.read_text())
    build_bundle(postponed.bundle)
    lock = json.loads(lock_file.read_text())
    assert lock["key"] == before["key"]
    assert lock["files"] == file_digests(postponed.bundle, exclude=("lock.json",))
    assert {"end2end.engine", "engine_details.json"} <= lock["files"].keys() - before["files"].keys()
    assert "engine (tensorrt)" in lock["reached"].keys() - before["reached"].keys()


def test_an_engine_that_was_built_here_and_not_run_is_not_proven(built_by_rtx):
    outcome, _ = built_by_rtx
    assert outcome.exit_code == ExitCode.NOT_PROVEN
    assert outcome.problem == f"the engine was built and not run: {NO_DRIVER}"
    assert outcome.engine_bytes == (outcome.bundle / "end2end.engine").stat().st_size
    assert outcome.picture == "output_program.jpg"


def rising(heard) -> bool:
    """Tell whether the progress that was heard of goes up to the end."""
    shares = [event.share for event in heard if isinstance(event, StageProgressed)]
    return len(shares) > 2 and shares == sorted(shares) and shares[-1] == 1


def test_progress_is_heard_and_rises_to_the_end(built_by_rtx, tmp_path, shared_cache):
    _, compiling = compile_here(tmp_path / "again", shared_cache, *RTX, "backend.workspace=1")  # not built before
    assert rising(compiling)
    outcome, _ = built_by_rtx
    building = []
    build_bundle(outcome.bundle, building.append)
    assert rising(building)


def test_a_second_build_replaces_the_engine_alone_and_the_bundle_stays_up_to_date(built_by_rtx, shared_cache):
    outcome, _ = built_by_rtx
    before = file_digests(outcome.bundle)
    (outcome.bundle / "end2end.engine").unlink()
    again = build_bundle(outcome.bundle)
    assert (again.exit_code, again.problem) == (outcome.exit_code, outcome.problem), "there is no GPU here either"
    after = file_digests(outcome.bundle)
    assert after.keys() == before.keys()
    # The library does not give the same bytes each time; what was built is told in the other five.
    told = {"end2end.engine", "engine_details.json", "build.log", "report.json", "report.html", "lock.json"}
    assert {name for name in after if after[name] != before[name]} <= told
    compiled, _ = compile_here(outcome.bundle.parent, shared_cache, *RTX)
    assert compiled.up_to_date


def test_where_no_engine_can_be_built_the_bundle_is_refused(postponed):
    before = file_digests(postponed.bundle)
    with pytest.raises(CompileError, match="tensorrt cannot build an engine here") as caught:
        build_bundle(postponed.bundle)
    assert "pip install 'deploy-compiler[tensorrt]'" in caught.value.why
    assert caught.value.exit_code == ExitCode.FAILED
    assert file_digests(postponed.bundle) == before


def test_a_build_that_fails_leaves_the_bundle_as_it_was(postponed, with_tensorrt, monkeypatch):
    def fail(self, request):
        (request.folder / "end2end.engine").write_bytes(b"half")
        raise CompileError("TensorRT cannot build end2end.onnx")

    monkeypatch.setattr(TensorRT, "build", fail)
    before = file_digests(postponed.bundle)
    with pytest.raises(CompileError, match="cannot build end2end.onnx"):
        build_bundle(postponed.bundle)
    assert file_digests(postponed.bundle) == before
    assert not list(postponed.bundle.parent.glob(".*.partial"))


def test_a_program_that_the_library_cannot_take_is_refused_before_it_is_built(postponed, with_tensorrt, monkeypatch):
    obstacle = Obstacle("MatMul", "head, neck", "this version has no such product")
    monkeypatch.setattr(TensorRT, "plan", lambda self, program: (obstacle,))
    with pytest.raises(CompileError, match="tensorrt cannot take this Program") as caught:
        build_bundle(postponed.bundle)
    assert (caught.value.where, caught.value.why) == ("MatMul (head)", "this version has no such product")
    assert not (postponed.bundle / "end2end.engine").exists()


def test_a_bundle_of_another_kind_of_backend_is_wrong_usage(bundle):
    with pytest.raises(UsageError, match="there is nothing to build for onnxruntime") as caught:
        build_bundle(bundle)
    assert caught.value.where == str(bundle)
    assert NAME in caught.value.where


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(CompileError, match="is not a bundle"):
        build_bundle(tmp_path)
    with pytest.raises(CompileError, match="is not a bundle"):
        build_bundle(tmp_path / "nowhere")


def test_the_command_line_builds_a_bundle(built_by_rtx, command_line):
    outcome, _ = built_by_rtx
    run = command_line("build", str(outcome.bundle))
    assert run.returncode in (ExitCode.PROVEN, ExitCode.NOT_PROVEN), run.stderr  # by whether there is a GPU
    assert "end2end.engine by tensorrt_rtx" in run.stdout
