"""AOTInductor: native code, compiled in a process of its own, for a kind of processor that it is opened on alone."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from compiler.artifact import Engine, OnnxProgram, TorchExportProgram
from compiler.backends import BuildRequest, backend_of, build_backend, libraries
from compiler.backends.aotinductor import backend as module
from compiler.backends.aotinductor.backend import PACKAGE
from compiler.backends.aotinductor.compiler_of_cpp import compiler_problem, cpp_compiler
from compiler.backends.aotinductor.session import CHECK_INPUTS
from compiler.config import compose
from compiler.errors import CompileError, UsageError
from compiler.export import ExportOptions, export_traced, run_network
from tests.backends.pyramid import AXES, EXAMPLE, OUTPUTS, Pyramid
from tests.exporting import other_inputs

NODE = {"_target_": "compiler.backends.aotinductor.AOTInductor", "name": "aotinductor"}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Pyramid().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def program(network, tmp_path_factory):
    options = ExportOptions("dynamo", 18, AXES, OUTPUTS)
    folder = tmp_path_factory.mktemp("program")
    return export_traced(network, EXAMPLE, other_inputs(EXAMPLE, options), options, folder)


def request(program, folder, told=None) -> BuildRequest:
    progress = (lambda share, phase: None) if told is None else (lambda share, phase: told.append(phase))
    return BuildRequest(program, folder, "fp32", (), folder / "cache", progress)


@pytest.fixture(scope="module")
def engine(program, tmp_path_factory):
    """Compiled once: it takes half a minute. Not to be changed."""
    if compiler_problem():
        pytest.skip(compiler_problem())
    folder, told = tmp_path_factory.mktemp("engine"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_VEC_ISA_OK", "1")  # compiles no program to see what this processor can do
        built = build_backend(NODE).build(request(program, folder, told))
    assert told == ["Reading the archive", "Compiling", "compiled"]
    assert not list((folder / "cache").rglob("*")), "what the compiler wrote on the way is gone"
    return built


@pytest.fixture
def copied(engine, tmp_path) -> Engine:
    """The engine, to be changed."""
    return Engine.load(Path(shutil.copytree(engine.folder, tmp_path / "copy")))


def moved_to(engine, **machine) -> Engine:
    sidecar = engine.folder / Engine.SIDECAR
    values = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**values, "machine": {**values["machine"], **machine}}))
    return Engine.load(engine.folder)


def test_an_engine_equals_the_network_at_every_batch_and_size(engine, network):
    again = Engine.load(engine.folder)
    assert (again.file, again.size) == (PACKAGE, engine.path.stat().st_size)
    session = backend_of(again).open(again)
    for batch, height, width in ((1, 16, 24), (2, 8, 64), (7, 20, 12)):
        image = {"input": np.random.default_rng(batch).normal(size=(batch, 3, height, width)).astype(np.float32)}
        expected, found = run_network(network, image, OUTPUTS), session.run(image)
        for name in OUTPUTS:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-6)


def test_a_size_that_it_was_not_compiled_for_is_refused_and_not_read_beyond(engine, monkeypatch):
    monkeypatch.setenv(CHECK_INPUTS, "0")  # a user's own does not switch the look at inputs off
    session = backend_of(engine).open(engine)
    assert os.environ[CHECK_INPUTS] == "1"
    with pytest.raises(CompileError, match=r"end2end\.pt2 does not take this input") as caught:
        session.run({"input": np.zeros((1, 3, 8, 128), np.float32)})
    assert "64" in caught.value.why
    assert caught.value.where == "input [1, 3, 8, 128]"


def test_its_archives_are_opened_where_their_maker_is_trusted_alone(engine):
    assert backend_of(engine).engine_holds_code


@pytest.mark.parametrize("content", [b"no archive", None])
def test_what_is_no_package_is_one_message(copied, program, content):
    copied.path.write_bytes(program.path.read_bytes() if content is None else content)
    with pytest.raises(CompileError, match="is not a package that can be opened here"):
        backend_of(copied).open(copied)


def test_code_for_another_processor_is_refused_before_it_is_loaded(copied):
    here = build_backend(NODE).machine()["processor"]
    wider = moved_to(copied, processor=f"{here} AVX10")
    with pytest.raises(CompileError, match="was compiled for another processor") as caught:
        backend_of(wider).open(wider)
    assert caught.value.why == "this one lacks AVX10"
    other = moved_to(copied, processor="riscv64")
    with pytest.raises(CompileError, match="was compiled for another processor") as caught:
        backend_of(other).open(other)
    assert caught.value.why.endswith("not riscv64")


def test_code_for_less_than_this_processor_can_do_is_opened(copied):
    here = build_backend(NODE).machine()["processor"].split()
    smaller = moved_to(copied, processor=here[0])
    assert backend_of(smaller).open(smaller)


def test_without_a_compiler_it_is_said_and_nothing_is_started(program, tmp_path, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not cpp_compiler()
    assert "there is no C++ compiler" in build_backend(NODE).probe().problem
    with pytest.raises(CompileError, match="AOTInductor cannot build an engine here") as caught:
        build_backend(NODE).build(request(program, tmp_path))
    assert "set CXX" in caught.value.why


def test_a_compiler_that_is_named_and_not_there_is_not_replaced(monkeypatch):
    monkeypatch.setenv("CXX", "g++-99")
    assert compiler_problem() == "CXX is g++-99, and there is no such compiler: set it to one, or unset it"


def test_the_named_compiler_is_taken(tmp_path, monkeypatch):
    named = tmp_path / "my-c++"
    named.write_text("#!/bin/sh\n")
    named.chmod(0o755)
    monkeypatch.setenv("CXX", str(named))
    assert cpp_compiler() == str(named)


def test_a_compiler_that_fails_is_one_message(program, tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nprint('\\nfailed:', 'cannot compile it', 'g++: no', sep='\\n', file=sys.stderr)\nsys.exit(1)"
    )
    monkeypatch.setattr(module, "SCRIPT", script)
    monkeypatch.setattr(module, "compiler_problem", lambda: "")
    with pytest.raises(CompileError, match="cannot compile it") as caught:
        build_backend(NODE).build(request(program, tmp_path))
    assert (caught.value.why, caught.value.where) == ("g++: no", str(program.path))
    assert "backend=torchscript" in caught.value.fix


def test_a_compiler_that_is_killed_is_one_message_and_leaves_nothing(program, tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setattr(module, "SCRIPT", script)
    monkeypatch.setattr(module, "compiler_problem", lambda: "")
    with pytest.raises(CompileError, match="ended with SIGKILL"):
        build_backend(NODE).build(request(program, tmp_path))
    assert not (tmp_path / PACKAGE).exists()
    assert not (tmp_path / "cache/aotinductor").exists()


def test_without_torch_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(libraries, "installed_version", lambda name: "")
    assert "deploy-compiler[torch]" in build_backend(NODE).probe().problem
    engine = Engine(tmp_path, (PACKAGE,), NODE, (), ())
    with pytest.raises(CompileError, match="is opened by PyTorch, which cannot be used here"):
        build_backend(NODE).open(engine)


def test_another_program_and_another_precision_are_refused(tmp_path):
    with pytest.raises(CompileError, match="a Program in onnx is not what is read here"):
        build_backend(NODE).plan(OnnxProgram(tmp_path / "program.onnx", (), (), 18, 1))
    assert build_backend(NODE).plan(TorchExportProgram(tmp_path / "program.pt2", (), ())) == ()
    with pytest.raises(UsageError, match="aotinductor"):
        compose(["backend=aotinductor", "model=rtmdet-tiny", "precision=fp16"])
