"""Activation functions between convolutions: what is before them is in integers only where what they read is."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest

from compiler.precision.int8.quantize import quantize
from compiler.precision.int8.schemes import FUNCTIONS, ONNX_RUNTIME_AVX2, ONNX_RUNTIME_VNNI, TENSORRT
from compiler.precision.int8.table import CalibrationTable, Range, model_digest
from tests.precision.quantizing import cosine, images, model, run, sources, table_of

NEWER = {"Gelu": 20, "Swish": 24}
"""Functions that came with an opset after 18."""
SLOPE = np.full((4, 1, 1), 0.1, np.float32)


def stack(function, opset=18):
    slope = ", slope" if function == "PRelu" else ""
    return model(
        f"""c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
        f = {function} (c1{slope})
        y = Conv <pads = [1, 1, 1, 1]> (f, w2)""",
        opset=opset,
        slope=SLOPE,
    )


def optimized(graph, folder):
    """The operators that ONNX Runtime makes of a model, on this machine."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(folder / "optimized.onnx"), 4
    onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


@pytest.mark.parametrize("function", sorted(FUNCTIONS - NEWER.keys()))
def test_a_convolution_before_a_function_is_in_integers(function, tmp_path):
    graph = stack(function)
    result = quantize(graph, table_of(graph), ONNX_RUNTIME_AVX2)
    assert result.layers == ("c1", "f", "y")
    assert cosine(run(graph, images())["y"], run(result.model, images())["y"]) > 0.99
    assert optimized(result.model, tmp_path)["QLinearConv"] == 1  # of two: what comes out of the last is float


@pytest.mark.parametrize(("function", "opset"), NEWER.items())
def test_newer_functions_read_8_bits_too(function, opset):
    graph = stack(function, opset)
    ranges = dict.fromkeys(("x", "c1", "f"), Range(-1.0, 1.0))
    table = CalibrationTable("min_max", model_digest(graph), "none", 1, ranges)
    assert quantize(graph, table, ONNX_RUNTIME_VNNI).layers == ("c1", "f", "y")


def test_without_it_the_convolution_computes_in_float(tmp_path):
    graph = stack("HardSwish")
    kept = quantize(graph, table_of(graph), ONNX_RUNTIME_AVX2, ["HardSwish"])
    assert kept.layers == ("c1", "y")
    assert optimized(kept.model, tmp_path)["QLinearConv"] == 0


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("c1 = Conv (x, w1)  y = HardSwish (c1)", "nothing quantised reads it"),
        ("p = Elu (x)  c1 = Conv (p, w1)  y = Conv (c1, w3)", "no convolution gives what it reads"),
        (
            "c1 = Conv (x, w1)  t = Transpose <perm = [0, 2, 3, 1]> (c1)  a = MatMul (t, m)  p = Tanh (a)"
            "  y = MatMul (p, n)",
            "a product of matrices gives floats",
        ),
    ],
)
def test_a_function_stays_as_it_is_where(body, where):
    graph = model(body, n=np.ones((6, 2), np.float32))
    result = quantize(graph, table_of(graph), ONNX_RUNTIME_VNNI)
    (function,) = [node for node in graph.graph.node if node.op_type in FUNCTIONS]
    assert function.name not in result.layers, where


def test_for_tensorrt_functions_stay_as_they_are():
    graph = stack("HardSwish")
    assert sources(quantize(graph, table_of(graph), TENSORRT).model, "f") == ["Conv"]
