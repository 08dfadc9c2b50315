"""RKNN: built and simulated by Rockchip's own toolkit, which another interpreter has."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

from compiler.artifact import Engine, OnnxProgram, TensorSpec
from compiler.backends import BuildRequest, backend_of, build_backend
from compiler.backends.rknn import RKNN
from compiler.config import compose
from compiler.errors import CompileError, UsageError
from compiler.graphs import OnnxRuntimeSession
from tests.compiling import compile_here
from tests.small_network import IMAGE, small_network
from tests.without_torch import PREDICT, without_torch

MADE = Path(sys.prefix) / "cache/deploy-compiler/environments/rknn"
"""The environment that `make test` makes."""
TOOLKIT = MADE / "bin/python"
needs_toolkit = pytest.mark.skipif(
    not (MADE / "requirements.txt").is_file(), reason=f"no {MADE}: make test makes it on Linux, x86-64"
)
GRAPH = """<ir_version: 8, opset_import: ["": 17]>
    g (float[1, 3, 8, 8] x, float[1, 4, 8, 8] z) => (float[1, 4, 8, 8] y, float[1, 4] means)
    <float[4, 3, 3, 3] w> {
        c = Conv <pads = [1, 1, 1, 1]> (x, w)  r = Relu (c)  y = Add (r, z)
        m = ReduceMean <axes = [2, 3], keepdims = 0> (y)  means = Identity (m) }"""
WEIGHTS = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)


def read(path: Path) -> OnnxProgram:
    graph = onnx.load(path).graph
    inputs, outputs = (
        tuple(
            TensorSpec(
                value.name, "float32", tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)
            )
            for value in values
        )
        for values in (graph.input, graph.output)
    )
    return OnnxProgram(path, inputs, outputs, 17, len(graph.node))


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A convolution of one input, beside a second one. Not to be changed."""
    file = tmp_path_factory.mktemp("program") / "g.onnx"
    model = onnx.parser.parse_model(GRAPH)
    model.graph.initializer.append(onnx.numpy_helper.from_array(WEIGHTS, "w"))
    onnx.save(model, file)
    return read(file)


def sample(seed: int = 0) -> dict[str, np.ndarray]:
    shapes = {"x": (1, 3, 8, 8), "z": (1, 4, 8, 8)}
    drawn = np.random.default_rng(seed)
    return {name: drawn.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def rknn(**options) -> RKNN:
    return RKNN(name="rknn", python=str(TOOLKIT), **options)


def built(backend: RKNN, program: OnnxProgram, tmp_path: Path, precision: str = "fp16") -> Engine:
    (tmp_path / "engine").mkdir()
    calibration = (lambda: iter(map(sample, range(4)))) if precision == "int8" else None
    cache, told = tmp_path / "cache", []
    request = BuildRequest(
        program, tmp_path / "engine", precision, (), cache, lambda share, phase: told.append(share), calibration
    )
    engine = backend.build(request)
    assert told[-1] == 1.0
    return engine


@pytest.fixture(scope="module")
def engine(program, tmp_path_factory):
    """In fp16, built once: it takes the toolkit seconds. Not to be changed."""
    return built(rknn(), program, tmp_path_factory.mktemp("fp16"))


def relative_errors(engine: Engine, program: OnnxProgram) -> list[float]:
    """How far the engine is from ONNX Runtime, as found in its folder alone; two samples."""
    tensors = [sample(4), sample(5)]
    both = {name: np.concatenate([one[name] for one in tensors]) for name in tensors[0]}
    session = backend_of(Engine.load(engine.folder)).open(Engine.load(engine.folder))
    found = session.run(both)
    reference = OnnxRuntimeSession(program.path)
    wanted = [reference.run(one) for one in tensors]
    return [
        float(np.sqrt(np.mean((found[name] - np.concatenate([one[name] for one in wanted])) ** 2)) / found[name].std())
        for name in ("y", "means")
    ]


@needs_toolkit
def test_an_engine_in_fp16_gives_what_onnx_runtime_does(engine, program, monkeypatch):
    assert engine.path.name == "end2end.rknn"
    monkeypatch.setenv("DEPLOY_COMPILER_RKNN_PYTHON", str(TOOLKIT))
    assert max(relative_errors(engine, program)) < 2e-3


@needs_toolkit
def test_an_engine_in_int8_keeps_what_its_calibration_measured(program, tmp_path, monkeypatch):
    engine = built(rknn(), program, tmp_path, "int8")
    monkeypatch.setenv("DEPLOY_COMPILER_RKNN_PYTHON", str(TOOLKIT))
    image, _ = relative_errors(engine, program)
    assert 1e-3 < image < 0.1
    assert {"simulator.model", "simulator.data", "simulator.quantization.cfg"} < set(engine.files)


@needs_toolkit
def test_what_the_toolkit_refuses_is_one_message_and_its_log_is_kept(tmp_path):
    model = onnx.parser.parse_model(GRAPH.replace("Identity (m)", "Cos (m)").replace("<float[4, 3, 3, 3] w>", ""))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 5  # four weights of three channels each
    model.graph.initializer.append(onnx.numpy_helper.from_array(WEIGHTS, "w"))
    onnx.save(model, tmp_path / "g.onnx")
    with pytest.raises(CompileError, match="RKNN cannot build this Program: the toolkit refuses this") as caught:
        built(rknn(), read(tmp_path / "g.onnx"), tmp_path)
    assert "\n" not in caught.value.why
    assert Path(caught.value.fix.removeprefix("read ")).is_file()


@needs_toolkit
def test_a_simulator_that_is_killed_is_one_message(engine):
    session = rknn().open(engine)
    os.kill(session._process.pid, signal.SIGKILL)
    with pytest.raises(CompileError, match="the simulator of RKNN ended"):
        session.run(sample())


def test_without_a_toolkit_the_probe_says_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.delenv("DEPLOY_COMPILER_RKNN_PYTHON", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "relative").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    assert RKNN.ENVIRONMENT.interpreter("relative") == tmp_path / "relative"
    assert "python -m compiler doctor --make rknn" in RKNN(name="rknn").probe().problem
    assert f"{sys.executable} has no rknn-toolkit2" in RKNN(name="rknn", python=sys.executable).probe().problem
    assert "is no interpreter" in RKNN(name="rknn", python=str(tmp_path / "python")).probe().problem


def test_an_axis_that_varies_is_an_obstacle(program, tmp_path):
    assert RKNN(name="rknn").plan(program) == ()
    model = onnx.load(program.path)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(model, tmp_path / "varies.onnx")
    (obstacle,) = RKNN(name="rknn").plan(read(tmp_path / "varies.onnx"))
    assert (obstacle.node, obstacle.fix) == ("x", "shape=static, or static_<height>x<width>")


def test_an_unknown_chip_is_refused_with_the_nearest():
    with pytest.raises(UsageError) as caught:
        RKNN(name="rknn", target="rk3585")
    assert (caught.value.where, "rk3588" in caught.value.fix) == ("backend.target", True)


def test_the_interpreter_is_neither_in_the_name_nor_in_the_config_of_a_bundle():
    named = compose(["backend=rknn", "precision=fp16", "shape=static"])
    elsewhere = compose(["backend=rknn", "precision=fp16", "shape=static", "backend.python=/opt/rknn/bin/python"])
    assert elsewhere.bundle == named.bundle
    assert elsewhere.backend["python"] == "/opt/rknn/bin/python"
    assert elsewhere.values == named.values
    assert "python" not in named.values["backend"]


def test_a_bundle_neither_keeps_nor_brings_an_interpreter(program, tmp_path):
    node = rknn().node()
    assert "python" not in node
    assert build_backend(node) == RKNN(name="rknn")
    specs = program.inputs, program.outputs
    Engine(tmp_path, ("end2end.rknn",), {**node, "python": "/tmp/evil"}, *specs).save()
    with pytest.raises(CompileError, match="the bundle says what is yours to say: backend.python"):
        backend_of(Engine.load(tmp_path))
    sidecar = json.loads((tmp_path / Engine.SIDECAR).read_text())
    del sidecar["backend"]["python"]
    (tmp_path / Engine.SIDECAR).write_text(json.dumps(sidecar))
    assert backend_of(Engine.load(tmp_path)) == RKNN(name="rknn")


@needs_toolkit
def test_a_bundle_opens_and_is_simulated_without_torch(tmp_path, monkeypatch):
    monkeypatch.setenv("DEPLOY_COMPILER_RKNN_PYTHON", str(TOOLKIT))
    np.savez(tmp_path / "arrays.npz", input=IMAGE)
    with small_network(tmp_path, "network_for_rknn") as network:
        chosen = ("backend=rknn", "precision=fp16", "export.exporter=torchscript", *network)
        outcome, _ = compile_here(tmp_path, tmp_path / "cache", *chosen)
    assert outcome.proofs[-1].stage == "engine (rknn, simulated)"
    run = without_torch(PREDICT, outcome.bundle, tmp_path / "arrays.npz")
    assert run.returncode == 0, run.stderr
    (found,) = json.loads(run.stdout)
    assert found["shape"] == [1, 64]
