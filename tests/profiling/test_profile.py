"""Bundles, measured from Python: what is found out, and what is refused. Nothing here is held to a time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import onnx
import pytest

from compiler import runtime
from compiler.errors import CompileError, UsageError
from compiler.profiling import profile
from compiler.profiling.processes import worker_for
from compiler.profiling.request import Request
from compiler.profiling.subject import Subject
from tests.bundles import FIRST_LAYOUT, small_bundle
from tests.conftest import PHOTOGRAPH, REPOSITORY

POSE, TEXT, ARRAYS = (FIRST_LAYOUT / name for name in ("pose", "text", "arrays"))
CLOUD = REPOSITORY / "compiler/tasks/pointclouds/kitti.bin"


@pytest.fixture(scope="module")
def found():
    """Two bundles at two batches."""
    return profile([POSE, ARRAYS], batches=(1, 2), iterations=4, warmup=1)


@pytest.fixture(scope="module")
def pose(found):
    return found.bundles[0]


def test_every_run_is_kept_and_in_as_many_rounds_for_each(found):
    assert [bundle.model for bundle in found.bundles] == ["tiny-pose", "onnx"]
    for bundle in found.bundles:
        assert [timing.input.batch for timing in bundle.timings] == [1, 2]
        assert all(len(timing.samples) == 4 for timing in bundle.timings)
        assert all(seconds > 0 for timing in bundle.timings for seconds in (timing.first, *timing.samples))
    assert len({len(timing.rounds) for bundle in found.bundles for timing in bundle.timings}) == 1


def test_each_input_is_compared_round_by_round(found):
    assert [[one.label for one in each] for each in found.comparisons] == [["arrays"], ["arrays"]]
    for index, (comparison,) in enumerate(found.comparisons):
        pose, arrays = (bundle.timings[index].rounds for bundle in found.bundles)
        medians = [(np.median(one), np.median(other)) for one, other in zip(arrays, pose, strict=True)]
        assert comparison.ratios == pytest.approx([one / other for one, other in medians])


def test_steps_lead_from_the_file_to_the_result_and_come_to_no_more_than_the_whole(pose):
    names = ["/".join(step.path) for step in pose.steps]
    steps = ["load", "preprocess", "preprocess/warp", "preprocess/normalise", "network", "decode"]
    assert names == ["pipeline", *(f"pipeline/{step}" for step in steps)]
    for call in range(4):
        taken = {name: step.samples[call] for name, step in zip(names, pose.steps, strict=True)}
        assert sum(taken[f"pipeline/{step}"] for step in steps if "/" not in step) <= taken["pipeline"]
        parts = taken["pipeline/preprocess/warp"] + taken["pipeline/preprocess/normalise"]
        assert parts <= taken["pipeline/preprocess"]
    assert sum(step.share for step in pose.steps if not step.is_whole) <= 1


def test_opening_and_memory_are_those_of_a_process_that_runs_nothing_else(found):
    for bundle in found.bundles:
        assert bundle.load > 0
        if bundle.memory is not None:
            assert bundle.memory > bundle.memory_before


def test_layers_are_nodes_of_the_file_or_what_onnx_runtime_makes_of_them(pose):
    nodes = {node.name for node in onnx.load(POSE / "end2end.onnx").graph.node}
    assert {"node_MatMul_4", "node_MatMul_9"} <= {layer.name for layer in pose.layers} & nodes
    assert all(layer.seconds >= 0 for layer in pose.layers)


def test_measuring_needs_neither_torch_nor_what_draws_tables():
    code = f"""
import sys
from compiler.profiling import profile
profile({str(POSE)!r}, iterations=1, warmup=0)
print(sorted({{"torch", "hydra", "onnx", "rich", "jinja2"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_engine_is_run_on_a_real_batch_of_the_size_that_is_asked_for(monkeypatch):
    subject = Subject(Request(str(POSE), (str(PHOTOGRAPH),), batches=(3,)))
    shapes = []
    session = subject._predictor.session
    run = type(session).run
    monkeypatch.setattr(
        type(session), "run", lambda self, given: shapes.append(given["input"].shape) or run(self, given)
    )
    subject.first(0)
    assert len(subject.block(2)) == 2
    assert shapes == [(3, 3, 256, 192)] * 3


def test_runs_that_settle_do_not_count():
    now = iter(range(1000))
    subject = Subject(Request(str(POSE)), clock=lambda: float(next(now)))
    subject.first(0)
    before = next(now)
    assert subject.block(2, settling=10.0) == [1.0, 1.0]
    assert next(now) - before > 10


def test_files_are_looked_at_in_turn(tmp_path, monkeypatch):
    for name in "ab":
        shutil.copy(PHOTOGRAPH, tmp_path / f"{name}.jpg")
    subject = Subject(Request(str(POSE), (str(tmp_path),)))
    looked = []
    read = type(subject._task).read
    monkeypatch.setattr(
        type(subject._task), "read", lambda self, source, *more: looked.append(source.stem) or read(self, source, *more)
    )
    steps = dict(subject.steps(calls=4, warmup=1))
    assert looked == ["a", "a", "b", "a", "b"]
    assert len(steps["pipeline",]) == 4


def test_threads_are_those_that_are_asked_for(monkeypatch):
    assert runtime.open(POSE, threads=1).engine.backend["threads"] == 1
    assert runtime.open(POSE).engine.backend["threads"] is None
    with pytest.raises(UsageError, match=r"'backend.threads' must be from 1 to 1,024"):
        runtime.open(POSE, threads=0)


def test_an_input_of_another_task_is_refused():
    with pytest.raises(CompileError, match="the image cannot be decoded") as caught:
        profile(POSE, CLOUD, iterations=1, warmup=0)
    assert "pose-detection looks at image: .bmp" in caught.value.why


def test_a_bundle_that_was_changed_is_refused_unless_the_changes_are_trusted(tmp_path):
    bundle = small_bundle(tmp_path / "bundle", "pose")
    with (bundle / "engine.json").open("a") as file:
        file.write("\n")
    with pytest.raises(CompileError, match="the bundle is not as it was made") as caught:
        profile(bundle, iterations=1, warmup=0)
    assert "engine.json was changed" in caught.value.why
    assert profile(bundle, iterations=1, warmup=0, trust_changes=True).bundles


def test_errors_of_the_other_process_are_those_of_this_one():
    with pytest.raises(UsageError, match="the engine takes no such batch"):
        profile(POSE, batches=[5], iterations=1, warmup=0)
    with pytest.raises(CompileError, match="is not a bundle"):
        profile("nowhere", iterations=1, warmup=0)


def test_a_process_that_ends_by_itself_is_an_error_with_its_last_words(tmp_path):
    with worker_for(Request(str(POSE))) as worker:
        worker._process.kill()
        worker._process.wait()
        with pytest.raises(CompileError, match="ended with SIGKILL") as caught:
            worker.open()
    assert caught.value.where == str(POSE)
    assert worker._process.returncode is not None


HANGING = """
import os, signal, sys
from threading import Timer
from compiler.profiling import processes
from compiler.profiling.request import Request

stuck = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
processes.isolated_command = lambda *given: [sys.executable, "-I", "-c", stuck]
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
try:
    with processes.worker_for(Request(sys.argv[1])) as worker:
        Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        worker.first(0)
except KeyboardInterrupt:
    print("interrupted; it ended with", worker._process.returncode)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_control_c_ends_a_process_that_hangs():
    # In a session of its own, so that nothing but it is interrupted.
    command = [sys.executable, "-c", HANGING, str(POSE)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, start_new_session=True)
    assert run.stdout == f"interrupted; it ended with {-signal.SIGKILL}\n", run.stderr


def test_no_process_is_left_when_measuring_is_interrupted():
    def interrupted():
        with worker_for(Request(str(POSE))) as worker:
            started.append(worker._process)
            raise KeyboardInterrupt

    started = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert started[0].returncode is not None


def test_what_libraries_print_is_no_answer(tmp_path, monkeypatch):
    """A backend of the user's own that prints, as native libraries do."""
    (tmp_path / "chatty.py").write_text(
        "import os\nfrom dataclasses import dataclass\nfrom compiler.backends.onnxruntime import OnnxRuntime\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Chatty(OnnxRuntime):\n    def open(self, engine):\n"
        "        os.write(1, b'opening')\n        print('and more')\n        return super().open(engine)\n\n"
        "    def layers(self, engine, tensors, iterations):\n        return None\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    bundle = small_bundle(tmp_path / "bundle", "pose")
    engine = json.loads((bundle / "engine.json").read_text())
    kept = ("name", "optimization", "threads", "spinning")
    engine["backend"] = {"_target_": "chatty.Chatty", **{key: engine["backend"][key] for key in kept}}
    (bundle / "engine.json").write_text(json.dumps(engine))
    (measured,) = profile(bundle, iterations=1, warmup=0, trust_changes=True, modules=["chatty"]).bundles
    assert measured.layers is None
    assert len(measured.timings[0].samples) == 1


def test_texts_of_different_sizes_are_measured_at_each_shape():
    sizes = runtime.open(TEXT).sizes
    (measured,) = profile(TEXT, shapes=[sizes.smallest, sizes.usual], iterations=1, warmup=0).bundles
    assert [timing.input.size for timing in measured.timings] == [sizes.smallest, sizes.usual]
