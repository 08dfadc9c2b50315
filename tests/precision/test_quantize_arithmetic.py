"""Scales and zero points are those of ONNX's QuantizeLinear, and DequantizeLinear gives back what they promise."""

from functools import cache

import numpy as np
import onnx.parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from compiler.precision.int8.affine import (
    activation_parameters,
    least_weight_scale,
    quantized_bias,
    quantized_weight,
    weight_parameters,
)
from compiler.precision.int8.schemes import ONNX_RUNTIME_VNNI, TENSORRT, QuantizationScheme
from compiler.precision.int8.table import Range

SIGNED = QuantizationScheme("int8", symmetric_activations=False)
SCHEMES = pytest.mark.parametrize("scheme", [ONNX_RUNTIME_VNNI, TENSORRT, SIGNED], ids=["uint8", "symmetric", "int8"])

magnitudes = st.floats(0, 2.0**60, width=32)
bounds = st.one_of(magnitudes, magnitudes.map(lambda bound: -bound))
ranges = st.tuples(bounds, bounds).map(lambda pair: Range(min(pair), max(pair)))


@cache
def evaluator(kind):
    return ReferenceEvaluator(
        onnx.parser.parse_model(
            f"""<ir_version: 8, opset_import: ["": 21]> g (float[n] x, float s, {kind} z) => (float[n] y) {{
                q = QuantizeLinear (x, s, z)
                y = DequantizeLinear (q, s, z)
            }}"""
        )
    )


def through_8_bits(values, parameters):
    """Quantise and dequantise as the ONNX standard says."""
    feeds = {"x": values.astype(np.float32), "s": parameters.scale, "z": parameters.zero_point}
    return evaluator(str(parameters.zero_point.dtype)).run(None, feeds)[0]


@SCHEMES
@settings(deadline=None)
@given(values=ranges)
def test_a_range_is_held_to_half_a_step_and_zero_exactly(scheme, values):
    parameters = activation_parameters(values, scheme)
    assert parameters.scale.dtype == np.float32
    assert parameters.scale > 0
    assert parameters.zero_point.dtype == scheme.activations
    low, zero, high = through_8_bits(np.array([values.low, 0.0, values.high]), parameters)
    assert zero == 0.0
    # Rounding the zero point shifts the range by up to half a step, and rounding the value costs another half.
    step = float(parameters.scale) * (0.5 if scheme.symmetric_activations else 1.0) * 1.0001
    if values.low != values.high or values.low != 0:
        assert abs(low - values.low) <= step
        assert abs(high - values.high) <= step


@SCHEMES
@given(values=ranges)
def test_no_step_is_wasted(scheme, values):
    """The scale is the smallest that the range allows, except below the smallest normal float32."""
    parameters = activation_parameters(values, scheme)
    low, high = min(values.low, 0), max(values.high, 0)
    needed = max(-low, high) / 127 if scheme.symmetric_activations else (high - low) / 255
    if needed == 0:
        assert parameters.scale == 1
    else:
        assert float(parameters.scale) == pytest.approx(max(needed, np.finfo(np.float32).tiny), rel=1e-6)


@given(values=ranges)
def test_symmetric_parameters_have_no_zero_point(values):
    assert activation_parameters(values, TENSORRT).zero_point == 0


def test_what_is_never_negative_uses_all_of_uint8():
    assert activation_parameters(Range(0.0, 25.5), ONNX_RUNTIME_VNNI).zero_point == 0
    assert activation_parameters(Range(3.0, 25.5), ONNX_RUNTIME_VNNI).scale == pytest.approx(0.1)


def test_what_is_never_positive_does_too():
    parameters = activation_parameters(Range(-25.5, -3.0), ONNX_RUNTIME_VNNI)
    assert (float(parameters.scale), int(parameters.zero_point)) == (pytest.approx(0.1), 255)


@given(
    weight=st.lists(st.floats(-(2.0**40), 2.0**40, width=32), min_size=6, max_size=6),
    axis=st.sampled_from([None, 0, 1]),
)
def test_a_weight_is_held_to_half_a_step_of_its_channel(weight, axis):
    weight = np.array(weight, np.float32).reshape(2, 3)
    parameters = weight_parameters(weight, ONNX_RUNTIME_VNNI, axis)
    values = quantized_weight(weight, ONNX_RUNTIME_VNNI, parameters, axis)
    assert parameters.scale.shape == (() if axis is None else (weight.shape[axis],))
    assert values.min() >= -127
    scale = parameters.scale if axis in (None, 1) else parameters.scale[:, None]
    assert (np.abs(values * scale.astype(np.float64) - weight) <= scale * 0.50001).all()


def test_a_bias_that_would_overflow_int32_widens_the_scale_of_its_weight():
    activation, bias = np.float32(1e-6), np.array([3e4, 1e-4], np.float32)
    weight = np.full((2, 4), 1e-3, np.float32)
    narrow = weight_parameters(weight, ONNX_RUNTIME_VNNI, 0)
    wide = weight_parameters(weight, ONNX_RUNTIME_VNNI, 0, least_weight_scale(bias, activation))
    assert wide.scale[0] > narrow.scale[0]
    assert wide.scale[1] == narrow.scale[1]
    product = activation * wide.scale
    np.testing.assert_allclose(quantized_bias(bias, product) * product.astype(np.float64), bias, rtol=1e-6)
