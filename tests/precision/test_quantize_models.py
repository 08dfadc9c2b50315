"""Real models, exported by the compiler from random weights, in 8 bits on their own sample."""

import numpy as np
import onnx
import onnx.parser
import pytest

from compiler.precision.int8.calibration import METHODS, calibrate
from compiler.precision.int8.quantize import quantize
from compiler.precision.int8.schemes import ONNX_RUNTIME_VNNI, TENSORRT
from compiler.precision.int8.sensitivity import auto_quantize, rank
from tests.precision.quantizing import cosine, dequantizers, node, run, sources

SIZE = (256, 192)

both = pytest.mark.parametrize("scheme", [ONNX_RUNTIME_VNNI, TENSORRT], ids=["onnxruntime", "tensorrt"])


@pytest.fixture(scope="module")
def sample(photographs):
    return photographs


@pytest.fixture(scope="module")
def table(rtmpose, sample):
    return calibrate(rtmpose, [sample])


@both
def test_rtmpose_keeps_its_outputs_in_a_third_of_the_size(rtmpose, table, sample, scheme):
    result = quantize(rtmpose, table, scheme)
    assert result.model.ByteSize() < rtmpose.ByteSize() / 3
    for tensors in (sample, {"input": sample["input"][2:3]}):
        expected, found = run(rtmpose, tensors), run(result.model, tensors)
        for name in ("simcc_x", "simcc_y"):
            assert cosine(found[name], expected[name]) >= 0.99


@both
def test_every_weighted_layer_of_rtmpose_is_quantised(rtmpose, table, scheme):
    layers = set(quantize(rtmpose, table, scheme).layers)
    weighted = {entry.name for entry in rtmpose.graph.node if entry.op_type in ("Conv", "MatMul")}
    assert weighted <= layers


def test_rtmpose_for_tensorrt_is_symmetric_and_without_int32(rtmpose, table):
    result = quantize(rtmpose, table, TENSORRT).model
    for _, zero_point in dequantizers(result).values():
        assert zero_point.dtype == np.int8
        assert not zero_point.any()
    for entry in rtmpose.graph.node:
        if entry.op_type == "Conv":
            assert sources(result, entry.name)[:2] == ["DequantizeLinear"] * 2
            assert node(result, entry.name).input[2:] == entry.input[2:]


def test_every_method_keeps_rtmpose_valid(rtmpose, sample):
    for method in METHODS:
        result = quantize(rtmpose, calibrate(rtmpose, [sample], method), ONNX_RUNTIME_VNNI)
        assert np.isfinite(run(result.model, sample)["simcc_x"]).all()


def test_a_few_layers_of_rtmpose_in_float_bring_it_closer(rtmpose, table, sample):
    one = {"input": sample["input"][:1]}
    expected = run(rtmpose, one)["simcc_x"]

    def closeness(candidate):
        return cosine(run(candidate, one)["simcc_x"], expected)

    ranking = rank(rtmpose, table, TENSORRT, [one])
    everything = closeness(quantize(rtmpose, table, TENSORRT).model)
    wanted = 1 - (1 - everything) / 2
    found = auto_quantize(rtmpose, table, TENSORRT, lambda: ranking, lambda candidate: closeness(candidate) >= wanted)
    assert closeness(found.model) >= wanted
    assert 0 < len(found.excluded) < len(ranking) / 2


@both
def test_an_lstm_stays_float_between_layers_that_do_not(scheme):
    generator = np.random.default_rng(0)
    shapes = {"first": (6, 6), "w": (1, 16, 6), "r": (1, 16, 4), "last": (4, 5)}
    text = """<ir_version: 8, opset_import: ["": 18]> g (float[t, batch, 6] x) => (float[t, batch, 5] y) {
        a = MatMul (x, first)
        h = LSTM <hidden_size = 4> (a, w, r)
        s = Squeeze (h, axes)
        y = MatMul (s, last)
    }"""
    graph = onnx.parser.parse_model(text)
    values = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    values["axes"] = np.array([1])
    graph.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in values.items())
    tensors = {"x": generator.normal(size=(7, 2, 6)).astype(np.float32)}
    result = quantize(graph, calibrate(graph, [tensors]), scheme)
    assert "LSTM" not in {entry.op_type for entry in graph.graph.node if entry.output[0] in result.layers}
    assert {"a", "y"} <= set(result.layers)
    assert cosine(run(result.model, tensors)["y"], run(graph, tensors)["y"]) > 0.99
