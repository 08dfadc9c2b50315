"""Backends that are tried out on a tiny network: what works, what fails, what crashes, and what is not tried."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from compiler.artifact import OnnxProgram, TorchExportProgram, TorchScriptProgram
from compiler.backends import Probe
from compiler.backends.onnxruntime import OnnxRuntime
from compiler.doctor import smoke as smoking
from compiler.doctor.network import (
    CHANNELS,
    NODES,
    ONNX_NETWORK,
    OPSET,
    SIDE,
    difference,
    expected,
    given,
    weight,
    write_program,
)
from compiler.doctor.smoke import FAILED, SKIPPED, WORKS, smoke, try_out
from compiler.export import open_program
from compiler.graphs import OnnxRuntimeSession

READY = Probe("1", ("cpu",))


@dataclass(frozen=True, kw_only=True)
class Wrong(OnnxRuntime):
    """Computes something else."""

    def open(self, engine):
        session = super().open(engine)

        class Off:
            def run(self, tensors):
                return {name: one + 1 for name, one in session.run(tensors).items()}

        return Off()


def test_what_comes_out_is_what_torch_computes():
    input = torch.from_numpy(given()["input"])
    convolved = torch.nn.functional.conv2d(input, torch.from_numpy(weight()), padding=1).relu().numpy()
    np.testing.assert_allclose(expected(), convolved, atol=1e-5)
    assert expected().std() > 0.1


def test_the_onnx_file_is_that_network_as_onnx_writes_it():
    node = helper.make_node
    nodes = [
        node("Conv", ["input", "weight"], ["features"], pads=[1] * 4, kernel_shape=[3, 3], name="convolution"),
        node("Relu", ["features"], ["output"], name="relu"),
    ]
    value = helper.make_tensor_value_info
    inputs, outputs = (value(n, 1, [1, c, SIDE, SIDE]) for n, c in (("input", 3), ("output", CHANNELS)))
    graph = helper.make_graph(nodes, "network", [inputs], [outputs], [numpy_helper.from_array(weight(), "weight")])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="deploy-compiler"
    )
    assert onnx.load(ONNX_NETWORK) == model
    assert len(nodes) == NODES
    assert difference(OnnxRuntimeSession(ONNX_NETWORK).run(given())) < 1e-5


@pytest.mark.parametrize("kind", [OnnxProgram, TorchScriptProgram, TorchExportProgram])
def test_it_is_written_as_a_program_of_every_kind(kind, tmp_path):
    program = write_program(kind, tmp_path)
    assert isinstance(program, kind)
    assert difference(open_program(program).run(given())) < 1e-5


@pytest.mark.parametrize("outputs", [{}, {"output": np.zeros((1, 2))}, {"output": expected() * np.nan}])
def test_what_is_no_output_is_infinitely_wrong(outputs):
    assert difference(outputs) == np.inf


def test_a_backend_builds_and_runs_in_a_process_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "compiler.py").write_text("raise SystemExit('the current folder is somebody else's')")
    found = smoke(OnnxRuntime(name="onnxruntime"), READY)
    assert found.status == WORKS, found.detail
    assert found.detail.startswith("built and run in fp32, ")


@pytest.mark.parametrize("problem", [{"problem": "not installed"}, {"build_problem": "no GPU"}])
def test_what_cannot_build_here_is_not_tried(problem):
    found = smoke(OnnxRuntime(name="onnxruntime"), Probe("", **problem))
    assert (found.status, found.detail) == (SKIPPED, *problem.values())


def test_a_backend_that_crashes_takes_nothing_with_it(monkeypatch):
    abort = "import os, sys; print('on its way'); print('a last word', file=sys.stderr); sys.stderr.flush(); os.abort()"
    monkeypatch.setattr(smoking, "isolated_command", lambda *given: [sys.executable, "-I", "-c", abort])
    found = smoke(OnnxRuntime(name="onnxruntime"), READY)
    assert found.status == FAILED
    assert "its process ended with SIGABRT: a last word" in found.detail


def test_a_backend_that_never_ends_is_ended(monkeypatch):
    stuck = [sys.executable, "-I", "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(smoking, "isolated_command", lambda *given: stuck)
    monkeypatch.setattr(smoking, "SECONDS", 1)
    assert smoke(OnnxRuntime(name="onnxruntime"), READY).detail == "it took longer than 1 seconds"


def test_wrong_numbers_are_told(monkeypatch):
    monkeypatch.setattr("compiler.backends.build_backend", lambda node: Wrong(name="wrong"))
    status, detail = try_out({})
    assert status == FAILED
    assert detail.endswith("σ off what should come out")


def test_what_a_backend_refuses_is_told_in_a_line(monkeypatch):
    def refuse(node):
        from compiler.errors import CompileError

        raise CompileError("it refuses", why="two\nlines")

    monkeypatch.setattr("compiler.backends.build_backend", refuse)
    assert try_out({}) == (FAILED, "it refuses: two lines")
    monkeypatch.setattr("compiler.backends.build_backend", lambda node: 1 / 0)
    assert try_out({}) == (FAILED, "ZeroDivisionError: division by zero")


def test_where_what_compiling_needs_is_missing_it_says_what_to_install(monkeypatch):
    def missing(node):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("compiler.backends.build_backend", missing)
    assert try_out({}) == (SKIPPED, "torch is not installed: pip install 'deploy-compiler[compile]'")


def test_an_engine_that_cannot_run_here_is_built_and_where_there_is_a_stand_in_that_is_run(monkeypatch):
    from compiler.config.backend_facts import StandIn

    monkeypatch.setattr("compiler.backends.build_backend", lambda node: OnnxRuntime(name="onnxruntime"))
    monkeypatch.setattr(OnnxRuntime, "probe", lambda self: Probe("1", run_problem="there is no macOS"))
    assert try_out({}) == (WORKS, "built in fp32, and not run: there is no macOS")
    monkeypatch.setattr(OnnxRuntime, "STAND_IN", StandIn("interpreted", ""))
    monkeypatch.setattr(OnnxRuntime, "stand_in", lambda self, engine: self.open(engine))
    status, detail = try_out({})
    assert status == WORKS
    assert detail.startswith("built and interpreted in fp32, ")
