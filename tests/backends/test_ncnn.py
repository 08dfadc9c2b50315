"""ncnn, with networks that take milliseconds: what pnnx and ncnn make of them is compared with what torch does."""

import os
import stat
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from compiler.artifact import Engine, TorchScriptProgram, installed_version
from compiler.backends import BuildRequest, Profile, backend_of, build_backend, libraries
from compiler.backends.ncnn import backend as ncnn_backend
from compiler.backends.ncnn import converter, trial
from compiler.backends.ncnn.details import DETAILS_FILE
from compiler.backends.ncnn.network import Options
from compiler.backends.ncnn.param_file import read_param
from compiler.backends.ncnn.session import NcnnSession
from compiler.config import compose
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.errors import CompileError, UsageError
from compiler.export import ExportOptions, export_traced, run_network
from tests.backends.pyramid import AXES, EXAMPLE, OUTPUTS, Pyramid
from tests.exporting import other_inputs

IMAGE = EXAMPLE["input"]
PROFILE = Profile({"input": (1, 3, 8, 8)}, {"input": (1, 3, 16, 24)}, {"input": (4, 3, 64, 64)})


class Hardswish(nn.Module):
    def forward(self, image):
        return nn.functional.hardswish(image), image.mean((2, 3))


class WithTopK(nn.Module):
    def forward(self, image):
        return image * 2, image.mean((2, 3)).topk(2).values


class WithErfinv(nn.Module):
    def forward(self, image):
        return torch.erfinv(image.tanh()), image.mean((2, 3))


def backend(**options):
    return build_backend({**compose(["backend=ncnn"]).backend, **options})


def traced(network, folder):
    folder.mkdir()
    options = ExportOptions("torchscript", 18, AXES, OUTPUTS)
    network = network.eval().requires_grad_(False)
    return network, export_traced(network, {"input": IMAGE}, other_inputs({"input": IMAGE}, options), options, folder)


def built(program, folder, precision="fp32", **options):
    folder.mkdir()
    request = BuildRequest(program, folder, precision, (PROFILE,), folder / "cache", lambda share, phase: None)
    return backend(**options).build(request)


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory) -> tuple[nn.Module, TorchScriptProgram]:
    torch.manual_seed(0)
    return traced(Pyramid(), tmp_path_factory.mktemp("pyramid") / "program")


@pytest.fixture(scope="module")
def engine(pyramid, tmp_path_factory) -> Engine:
    return built(pyramid[1], tmp_path_factory.mktemp("pyramid") / "engine")


@pytest.fixture
def changed(engine, tmp_path):
    """A copy of the engine, to be damaged."""
    for file in engine.folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return Engine.load(tmp_path)


def images(*shape):
    return {"input": np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)}


# What is built


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (3, 3, 8, 64), (2, 3, 20, 12)])
def test_an_engine_equals_the_network_at_every_batch_and_size(pyramid, engine, shape):
    found = backend_of(Engine.load(engine.folder)).open(engine).run(images(*shape))
    expected = run_network(pyramid[0], images(*shape), OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


def test_an_input_stays_what_it_is_where_the_first_layer_writes_over_its_own(tmp_path):
    network, program = traced(Hardswish(), tmp_path / "program")
    session, given = backend().open(built(program, tmp_path / "engine")), images(2, 3, 8, 12)
    expected = run_network(network, given, OUTPUTS)
    for _ in range(2):
        np.testing.assert_allclose(session.run(given)["image"], expected["image"], atol=1e-5)


def test_its_files_and_blobs_are_called_as_the_sdk_and_the_program_call_them(engine):
    assert engine.files == ("end2end.param", "end2end.bin")
    blobs = {blob for layer in read_param(engine.path) for blob in layer.outputs}
    assert blobs >= {"input", "image", "means"}


def test_in_fp16_the_weights_take_half_the_room(pyramid, engine, tmp_path):
    half = built(pyramid[1], tmp_path / "half", "fp16")
    sizes = [(one.folder / "end2end.bin").stat().st_size for one in (engine, half)]
    assert sizes[1] < 0.7 * sizes[0]
    found, expected = backend().open(half).run(images(1, 3, 8, 8)), run_network(pyramid[0], images(1, 3, 8, 8), OUTPUTS)
    np.testing.assert_allclose(found["image"], expected["image"], atol=0.02)
    assert not np.allclose(found["image"], expected["image"], atol=1e-6)


def test_a_proof_holds_for_one_version_of_ncnn(engine):
    assert engine.machine["ncnn"] == installed_version("ncnn")


def test_what_pnnx_says_is_in_the_log_of_the_run(pyramid, tmp_path, caplog):
    with caplog.at_level("INFO", logger="compiler"):
        built(pyramid[1], tmp_path / "engine")
    assert "pass_ncnn" in caplog.text


# What cannot be built


def test_an_operator_that_is_known_to_fail_is_found_before_the_build(tmp_path):
    _, program = traced(WithTopK(), tmp_path / "program")
    (obstacle,) = backend().plan(program)
    assert (obstacle.operator, obstacle.node) == ("aten::topk", "the network")
    assert obstacle.seen


class OfTypes(nn.Module):
    """Another type goes in, or comes out."""

    def forward(self, image):
        return image.float() * 2, (image * 3).long().amax((2, 3))


def test_what_is_no_float32_is_an_obstacle_by_name_and_float32_is_none(tmp_path):
    image = {"input": IMAGE.astype(np.float64)}
    options = ExportOptions("torchscript", 18, AXES, OUTPUTS)
    program = export_traced(OfTypes(), image, other_inputs(image, options), options, tmp_path)
    found = backend().plan(program)
    assert [(one.operator, one.node) for one in found] == [("float64", "input"), ("int64", "means")]
    with pytest.raises(CompileError, match=r"ncnn has no input float64\[.*\], means int64\["):
        built(program, tmp_path / "engine")


def test_an_engine_whose_sidecar_says_another_type_is_refused_before_it_is_tried(engine, monkeypatch):
    monkeypatch.setattr(trial, "try_out", lambda *_: pytest.fail("it was tried"))
    other = replace(engine, inputs=(replace(engine.inputs[0], dtype="int64"),))
    with pytest.raises(CompileError, match="ncnn has no input int64"):
        backend().open(other)


def test_a_program_that_it_takes_has_no_obstacle(pyramid):
    assert backend().plan(pyramid[1]) == ()


@pytest.mark.parametrize(("network", "operator"), [(WithTopK, "torch.topk"), (WithErfinv, "aten::erfinv")])
def test_an_operator_that_only_pnnx_knows_of_is_named_by_the_build(tmp_path, network, operator):
    _, program = traced(network(), tmp_path / "program")
    with pytest.raises(CompileError, match="ncnn cannot take this Program") as caught:
        built(program, tmp_path / "engine")
    assert operator in caught.value.where


def test_int8_is_refused_with_the_reason():
    with pytest.raises(UsageError, match="ncnn cannot be built in int8") as caught:
        compose(["backend=ncnn", "precision=int8"])
    assert "ncnn2int8" in caught.value.why


# The converter is a program that may crash


def fake_pnnx(monkeypatch, tmp_path, script):
    file = tmp_path / "pnnx"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(converter, "pnnx_file", lambda: file)


@pytest.mark.skipif(os.name == "nt", reason="the fake is a shell script")
@pytest.mark.parametrize(
    ("script", "what", "why"),
    [
        ("echo one; kill -SEGV $$", "pnnx was ended by SIGSEGV", "one"),
        ("kill -KILL $$", "pnnx was ended by SIGKILL", ""),
        ("echo unknown operator >&2; exit 3", "pnnx ended with exit status 3", "unknown operator"),
        ("echo done", "pnnx wrote no network", "done"),
    ],
)
def test_a_converter_that_fails_is_one_message(pyramid, tmp_path, monkeypatch, script, what, why):
    fake_pnnx(monkeypatch, tmp_path, script)
    with pytest.raises(CompileError, match=what) as caught:
        built(pyramid[1], tmp_path / "engine")
    assert caught.value.why == why


@pytest.mark.skipif(os.name == "nt", reason="the fake is a shell script")
def test_a_converter_that_does_not_end_is_ended(pyramid, tmp_path, monkeypatch):
    fake_pnnx(monkeypatch, tmp_path, "exec sleep 600")
    with pytest.raises(CompileError, match="pnnx does not come to an end") as caught:
        built(pyramid[1], tmp_path / "engine", pnnx_seconds=0.2)
    assert "backend.pnnx_seconds" in caught.value.fix


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nothing enforces such a limit")
def test_a_converter_that_takes_too_much_memory_fails(pyramid, tmp_path):
    with pytest.raises(CompileError, match=r"^pnnx (was ended by SIG[A-Z]+|ended with exit status \d+)"):
        built(pyramid[1], tmp_path / "engine", pnnx_memory=0.01)


# What is not installed


@pytest.mark.parametrize(
    ("versions", "problem"),
    [
        ({"ncnn": ""}, "ncnn is not installed: pip install 'deploy-compiler[ncnn]'"),
        ({"pnnx": ""}, "pnnx is not installed: pip install 'deploy-compiler[ncnn]'"),
        ({"pnnx": "20220101"}, "pnnx 20220101 is installed, and 20261020 is the oldest that will do"),
        ({"ncnn": "1.0.20220101"}, "ncnn 1.0.20220101 is installed, and 1.0.20261020 is the oldest that will do"),
        ({}, ""),
    ],
)
def test_the_probe_says_what_is_missing_or_too_old(monkeypatch, versions, problem):
    installed = {**ncnn_backend.LIBRARIES, **versions}
    monkeypatch.setattr(libraries, "installed_version", installed.get)
    assert backend().probe().problem.startswith(problem)
    assert bool(backend().probe().problem) == bool(problem)


def test_opening_without_the_library_names_the_extra(engine, monkeypatch):
    monkeypatch.setitem(sys.modules, "ncnn", None)
    with pytest.raises(CompileError, match="ncnn is not installed") as caught:
        backend().open(engine)
    assert caught.value.fix == "pip install 'deploy-compiler[ncnn]'"


# A bundle comes from a stranger


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals of this kind")
def test_what_crashes_ncnn_crashes_a_child_alone(engine, tmp_path, monkeypatch):
    crash = tmp_path / "network.py"
    crash.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setattr(trial.network, "__file__", str(crash))
    with pytest.raises(CompileError, match="cannot be run by ncnn") as caught:
        backend().open(engine)
    assert caught.value.where == str(engine.path)
    assert "SIGSEGV" in caught.value.why


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nothing enforces such a limit")
def test_the_limits_of_whoever_opens_it_count_for_the_trial(engine):
    with pytest.raises(CompileError, match="cannot be run by ncnn"):
        backend().open_within(engine, Limits(memory=0.05))
    with pytest.raises(CompileError, match="cannot be run by ncnn") as caught:
        backend().open_within(engine, Limits(seconds=0.001))
    assert caught.value.why == "it runs for longer than 0.001 s"
    assert backend().open_within(engine, Limits(memory=4)).run(images(1, 3, 8, 8))


@pytest.mark.parametrize(("count", "what"), [(0, "nothing to run"), (1, None)])
def test_a_batch_of_none_is_refused(engine, count, what):
    session = backend().open(engine)
    with pytest.raises(CompileError, match=what) if what else nullcontext():
        session.run(images(count, 3, 8, 8))


def test_batches_that_differ_are_refused(engine):
    both = {"input": engine.inputs[0], "other": replace(engine.inputs[0], name="other")}
    options, two = Options(1, False, True), replace(engine, inputs=tuple(both.values()))
    session = NcnnSession(two, frozenset(both), options, trial.Trials(two, options, Limits()))
    with pytest.raises(CompileError, match="count different numbers of samples") as caught:
        session.run({name: np.zeros((count, 3, 8, 8), np.float32) for count, name in enumerate(both, start=1)})
    assert caught.value.why == "input has 1, other has 2"


def test_weights_that_end_early_are_refused(changed):
    weights = changed.folder / "end2end.bin"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(CompileError, match="cannot be run by ncnn") as caught:
        backend().open(changed)
    assert "end2end.bin" in caught.value.why


def test_a_layer_that_ncnn_does_not_know_is_refused(changed):
    changed.path.write_text(changed.path.read_text().replace("Convolution ", "Foo         "))
    with pytest.raises(CompileError, match="cannot be run by ncnn") as caught:
        backend().open(changed)
    assert "Foo" in caught.value.why


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"fp32"', '"fp8"'),
        ('"batched": [\n    "input"', '"batched": [\n    "other"'),
        ("3,", "0,"),
        ("3,", "4,"),
        ("8\n", "8,\n    8\n"),
    ],
)
def test_details_that_do_not_fit_the_engine_are_refused(changed, old, new):
    details = changed.folder / DETAILS_FILE
    assert old in details.read_text()
    details.write_text(details.read_text().replace(old, new, 1))
    with pytest.raises(CompileError, match=f"{DETAILS_FILE} does not describe an engine"):
        backend().open(changed)


def test_a_shape_is_tried_in_a_process_of_its_own_before_it_is_run(changed, monkeypatch):
    """What a layer reads depends on the shape, and ncnn compares it with nothing."""
    session, tried, whole = backend().open(changed), [], trial.try_out
    monkeypatch.setattr(trial, "try_out", lambda *given: tried.append(given[1]) or whole(*given))
    for size in (8, 16, 16, 8):
        session.run(images(2, 3, size, 8))
    assert tried == [{"input": (3, 16, 8)}], "the first shape was tried when it was opened"

    monkeypatch.setattr(trial.network, "__file__", str(changed.folder / "crash.py"))
    (changed.folder / "crash.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    session.run(images(1, 3, 16, 8))
    for _ in range(2):
        with pytest.raises(CompileError, match="cannot be run by ncnn"):
            session.run(images(1, 3, 24, 8))


@pytest.mark.parametrize(
    ("size", "what"), [((3, 300_000, 200_000), "larger than any may be"), ((3, 9_000, 9_000), "cannot be run by ncnn")]
)
def test_shapes_that_are_too_large_are_one_line(changed, size, what):
    with pytest.raises(CompileError, match=what) as caught:
        trial.try_out(changed, {"input": size}, Options(1, False, False), Limits(memory=0.8))
    assert "\n" not in caught.value.why


def test_names_that_no_command_line_would_hold_are_answered(changed):
    outputs = tuple(replace(changed.outputs[0], name=f"{number:0200}") for number in range(1000))
    with pytest.raises(CompileError, match="cannot be run by ncnn") as caught:
        trial.try_out(replace(changed, outputs=outputs), {"input": (3, 8, 8)}, Options(1, False, False), DEFAULT_LIMITS)
    assert "fails to compute" in caught.value.why


def test_an_engine_is_its_own_files_whatever_the_sidecar_says(changed):
    assert backend().open(replace(changed, files=("elsewhere.param",))).run(images(1, 3, 8, 8))


def test_the_files_that_opening_reads_are_those_that_the_lock_is_asked_about(engine):
    assert set(backend().files(engine)) == {"end2end.param", "end2end.bin", DETAILS_FILE}
    assert {path.name for path in Path(engine.folder).iterdir()} == {*backend().files(engine), "engine.json"}
