"""Signed 8-bit weights as unsigned ones: every number stays, and no processor loses a sum."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from compiler.graphs import with_unsigned_weights
from compiler.graphs.runtime import AS_WRITTEN, OnnxRuntimeSession

LARGE = np.full((64, 16), 127, np.int8)
SMALL = np.full((64, 16), 64, np.int8)


def model(body, inputs="uint8[1, 64] a", output="int32[1, 16] y", **constants):
    text = f'<ir_version: 8, opset_import: ["": 13]> g ({inputs}) => ({output}) {{ {body} }}'
    parsed = onnx.parser.parse_model(text)
    parsed.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()
    )
    return parsed


def types(graph):
    return {tensor.name: tensor.data_type for tensor in graph.graph.initializer}


def run(graph, optimized=True, **tensors):
    onnx.checker.check_model(graph, full_check=True)
    options = onnxruntime.SessionOptions()
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(
        None, tensors
    )[0]


@pytest.mark.parametrize("zero_point", [None, 3])
def test_sums_of_integers_are_right_on_any_processor(zero_point):
    given, constants = (
        ("a, b", {}) if zero_point is None else ("a, b, z, w", {"z": np.uint8(1), "w": np.int8(zero_point)})
    )
    graph = with_unsigned_weights(model(f"y = MatMulInteger ({given})", b=LARGE, **constants))
    a = np.full((1, 64), 255, np.uint8)
    expected = 64 * (255 - (zero_point is not None)) * (127 - (zero_point or 0))
    assert (run(graph, a=a) == expected).all()


def test_what_is_small_enough_stays():
    assert with_unsigned_weights(model("y = MatMulInteger (a, b)", b=SMALL)) is None


def test_signed_activations_keep_signed_weights_which_alone_have_a_kernel():
    graph = model("y = MatMulInteger (a, b, z)", "int8[1, 64] a", b=LARGE, z=np.int8(0))
    assert with_unsigned_weights(graph) is None


def test_a_weight_that_is_computed_stays():
    assert with_unsigned_weights(model("y = MatMulInteger (a, b)", "uint8[1, 64] a, int8[64, 16] b")) is None


DEQUANTIZED = """q = QuantizeLinear (x, s, z)  d = DequantizeLinear (q, s, z)
    w = DequantizeLinear <axis = 1> (b, t{zero})  y = MatMul (d, w)"""
CONSTANTS = {"s": np.float32(1 / 255), "z": np.uint8(0), "b": LARGE, "t": np.linspace(0.1, 1, 16, dtype=np.float32)}


@pytest.mark.parametrize("zero", ["", ", v"])
def test_a_dequantised_weight_is_the_same_and_fuses_right(zero):
    constants = CONSTANTS | ({"v": np.arange(16, dtype=np.int8)} if zero else {})
    given = model(DEQUANTIZED.format(zero=zero), "float[1, 64] x", "float[1, 16] y", **constants)
    graph = with_unsigned_weights(given)
    x = np.ones((1, 64), np.float32)
    exact = run(given, optimized=False, x=x)
    assert np.array_equal(run(graph, optimized=False, x=x), exact)
    np.testing.assert_allclose(run(graph, x=x), exact, rtol=1e-5)


def test_a_weight_that_is_quantised_in_the_graph_is_the_same_and_fuses_right():
    body = """q = QuantizeLinear (x, s, z)  d = DequantizeLinear (q, s, z)
        i = QuantizeLinear <axis = 1> (f, t, v)  w = DequantizeLinear <axis = 1> (i, t, v)  y = MatMul (d, w)"""
    scale = np.linspace(0.1, 1, 16, dtype=np.float32)
    constants = CONSTANTS | {"f": 127 * np.tile(scale, (64, 1)), "t": scale, "v": np.zeros(16, np.int8)}
    del constants["b"]
    given = model(body, "float[1, 64] x", "float[1, 16] y", **constants)
    graph = with_unsigned_weights(given)
    x = np.ones((1, 64), np.float32)
    exact = run(given, optimized=False, x=x)
    assert np.array_equal(run(graph, optimized=False, x=x), exact)
    np.testing.assert_allclose(run(graph, x=x), exact, rtol=1e-5)


def test_two_nodes_share_what_is_added():
    body = "p = MatMulInteger (a, b)  q = MatMulInteger (a, b)  y = Add (p, q)"
    graph = with_unsigned_weights(model(body, b=LARGE))
    assert sum(kind == onnx.TensorProto.UINT8 for kind in types(graph).values()) == 2
    assert (run(graph, a=np.full((1, 64), 255, np.uint8)) == 2 * 64 * 255 * 127).all()


def test_what_is_run_as_it_is_written_loses_no_sum(tmp_path):
    path = tmp_path / "x.onnx"
    onnx.save(model("y = MatMulInteger (a, b)", b=LARGE), path)
    found = OnnxRuntimeSession.as_written(path).run({"a": np.full((1, 64), 255, np.uint8)})
    assert AS_WRITTEN.optimization == "disabled"
    assert (found["y"] == 64 * 255 * 127).all()
