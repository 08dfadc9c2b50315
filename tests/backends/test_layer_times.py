"""What each layer takes: by the backend's own profiler, under the names of what it really runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from compiler.artifact import OnnxProgram
from compiler.artifact.specs import TensorSpec
from compiler.backends import Backend, BuildRequest
from compiler.backends.nvidia.session import layer_profiler
from compiler.backends.onnxruntime import OnnxRuntime, node_times
from compiler.backends.openvino import OpenVINO
from compiler.backends.torchscript import TorchScript

GRAPH = """<ir_version: 8, opset_import: ["": 18]> g (float[1, 8, 16, 16] x) => (float[1, 16] y)
<float[16, 8, 3, 3] w> {
    [filter] a = Conv <pads = [1, 1, 1, 1]> (x, w)
    [clip] b = Relu (a)
    [squash] c = Tanh (b)
    [pool] d = GlobalAveragePool (c)
    [flat] y = Flatten (d)
}"""
LOOP = """<ir_version: 8, opset_import: ["": 18]> g (float[64, 64] x) => (float[64, 64] y)
<int64 trips = {3}, bool go = {1}> {
    [again] y = Loop (trips, go, x) <body = b (int64 i, bool more, float[64, 64] s) => (bool on, float[64, 64] t) {
        on = Identity (more)
        [inside] t = MatMul (s, x)
    }>
}"""


@pytest.fixture
def program(tmp_path):
    model = onnx.parser.parse_model(GRAPH)
    weights = np.random.default_rng(0).normal(size=(16, 8, 3, 3)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    onnx.save(model, tmp_path / "program.onnx")
    inputs, outputs = (TensorSpec("x", "float32", (1, 8, 16, 16)),), (TensorSpec("y", "float32", (1, 16)),)
    return OnnxProgram(tmp_path / "program.onnx", inputs, outputs, 18, len(model.graph.node))


def measured(backend, program, folder, iterations=3):
    folder.mkdir()
    request = BuildRequest(program, folder, "fp32", (), folder.parent / "cache", lambda share, phase: None)
    engine = backend.build(request)
    return engine, backend.layers(engine, {"x": np.ones((1, 8, 16, 16), np.float32)}, iterations)


def test_without_optimisation_the_layers_of_onnx_runtime_are_the_nodes_of_the_file(program, tmp_path):
    _, layers = measured(OnnxRuntime(name="onnxruntime", optimization="disabled"), program, tmp_path / "engine")
    nodes = [(node.name, node.op_type) for node in onnx.load(program.path).graph.node]
    assert [(layer.name, layer.operator) for layer in layers] == nodes
    assert all(layer.seconds >= 0 for layer in layers)


def test_with_it_they_are_the_nodes_of_the_graph_that_onnx_runtime_makes(program, tmp_path):
    engine, layers = measured(OnnxRuntime(name="onnxruntime"), program, tmp_path / "engine")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(engine.path, options, providers=["CPUExecutionProvider"])
    nodes = {(node.name, node.op_type) for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert {(layer.name, layer.operator) for layer in layers} == nodes
    assert len(layers) < 5 + 2  # the activation is a part of the convolution


def test_a_trace_is_left_nowhere(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    measured(OnnxRuntime(name="onnxruntime"), program, tmp_path / "engine")
    assert {path.name for path in tmp_path.rglob("*") if "trace" in path.name} == set()


def test_the_body_of_a_loop_is_a_part_of_it(tmp_path):
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "loop")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = onnx.parser.parse_model(LOOP).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    for _ in range(2):
        session.run(None, {"x": np.ones((64, 64), np.float32)})
    events = json.loads(Path(session.end_profiling()).read_text())
    assert any(event["name"].startswith("inside") for event in events)
    assert [layer.name for layer in node_times(events)] == ["again"]


def test_the_first_run_does_not_count():
    def node(ts, dur):
        args = {"node_index": "0", "op_name": "Conv"}
        return {"cat": "Node", "name": "filter_kernel_time", "ts": ts, "dur": dur, "args": args}

    session = {"cat": "Session", "name": "model_run", "ts": 0, "dur": 5000}
    (layer,) = node_times([session, node(0, 1000), node(2000, 10), node(3000, 30)])
    assert layer.seconds == pytest.approx(20e-6)


def test_the_layers_of_openvino_are_those_of_its_compiled_model(program, tmp_path):
    backend = OpenVINO(name="openvino")
    engine, layers = measured(backend, program, tmp_path / "engine")
    compiled = backend.open(engine)._compiled
    executed = {node.get_friendly_name() for node in compiled.get_runtime_model().get_ops()}
    assert {"filter", "pool"} & {layer.name for layer in layers}
    assert {layer.name for layer in layers} <= executed
    assert all(layer.seconds > 0 for layer in layers if layer.operator == "Convolution")


def test_a_backend_whose_library_says_nothing_of_layers_says_none(program):
    assert TorchScript.layers is Backend.layers
    assert TorchScript(name="torchscript").layers(None, {}, 1) is None


def test_the_library_of_nvidia_has_the_profiler_that_is_derived_from():
    library = pytest.importorskip("tensorrt_rtx")
    profiler = layer_profiler(library)
    assert isinstance(profiler, library.IProfiler)
    profiler.report_layer_time("conv", 2.0)
    profiler.report_layer_time("conv", 1.0)
    assert profiler.seconds == pytest.approx({"conv": 0.003})
    assert isinstance(library.IExecutionContext.profiler, property)
