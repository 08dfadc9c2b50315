"""Which layers are quantised, how their pairs are placed, and what stays in float."""

import numpy as np
import onnx
import pytest

from compiler.errors import CompileError, UsageError
from compiler.precision.int8.calibration import calibrate
from compiler.precision.int8.quantize import quantize
from compiler.precision.int8.schemes import ONNX_RUNTIME_VNNI, TENSORRT, QuantizationScheme
from compiler.precision.int8.table import CalibrationTable, Range
from tests.precision.quantizing import cosine, dequantizers, images, model, node, run, sources, table_of, value

CHAIN = """
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
    r1 = Relu (c1)
    y = Conv <pads = [1, 1, 1, 1]> (r1, w2, b2)
"""
SKIP = """
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
    c2 = Conv <pads = [1, 1, 1, 1]> (c1, w2)
    r2 = Relu (c2)
    s = Add (c2, r2)
    y = Conv (s, w3)
"""
SILU = """
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
    g = Sigmoid (c1)
    s = Mul (c1, g)
    y = Conv <pads = [1, 1, 1, 1]> (s, w2)
"""

both = pytest.mark.parametrize("scheme", [ONNX_RUNTIME_VNNI, TENSORRT], ids=["onnxruntime", "tensorrt"])


def quantized(graph, scheme, keep=()):
    return quantize(graph, table_of(graph), scheme, keep)


@both
@pytest.mark.parametrize("body", [CHAIN, SKIP, SILU], ids=["chain", "skip", "silu"])
def test_the_quantised_model_is_close_takes_float32_and_any_batch_and_size(body, scheme):
    graph = model(body)
    result = quantized(graph, scheme).model
    assert list(result.graph.input) == list(graph.graph.input)
    assert list(result.graph.output) == list(graph.graph.output)
    for tensors in (images(1), images(3, size=16)):
        expected, found = run(graph, tensors)["y"], run(result, tensors)["y"]
        assert found.dtype == np.float32
        assert not np.array_equal(found, expected)
        assert cosine(found, expected) > 0.999


@both
def test_the_model_that_is_given_is_not_changed(scheme):
    graph = model(CHAIN)
    before = graph.SerializeToString(deterministic=True)
    quantized(graph, scheme)
    assert graph.SerializeToString(deterministic=True) == before


@both
def test_the_same_model_gives_the_same_bytes(scheme):
    first, second = (quantized(model(SKIP), scheme).model for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


@both
def test_pairs_stand_on_the_inputs_and_not_before_a_relu(scheme):
    result = quantized(model(CHAIN), scheme)
    assert result.layers == ("c1", "y")
    assert sources(result.model, "c1")[:2] == ["DequantizeLinear", "DequantizeLinear"]
    assert sources(result.model, "r1") == ["Conv"]
    assert sources(result.model, "r1_quantize")[0] == "Relu"


@both
def test_weights_have_a_scale_for_each_output_channel(scheme):
    graph = model(
        """c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
        u = ConvTranspose <strides = [2, 2]> (c1, up)
        t = Transpose <perm = [0, 2, 3, 1]> (u)
        y = MatMul (t, m)"""
    )
    result = quantized(graph, scheme).model
    w1, m = value(graph, "w1"), value(graph, "m")
    np.testing.assert_allclose(value(result, "w1_scale"), np.abs(w1).max((1, 2, 3)) / 127, rtol=1e-6)
    np.testing.assert_allclose(value(result, "m_scale"), np.abs(m).max(0) / 127, rtol=1e-6)
    assert value(result, "w1_quantized").dtype == np.int8
    assert value(result, "w1_quantized").shape == w1.shape
    np.testing.assert_array_equal(np.abs(value(result, "w1_quantized")).max((1, 2, 3)), 127)
    # There is no 8-bit kernel for it in ONNX Runtime.
    assert ("up_scale" in {entry.name for entry in result.graph.initializer}) == (scheme is TENSORRT)
    if scheme is TENSORRT:
        np.testing.assert_allclose(
            value(result, "up_scale"), np.abs(value(graph, "up")).max((0, 2, 3)) / 127, rtol=1e-6
        )


def test_weights_may_have_one_scale_as_a_whole():
    scheme = QuantizationScheme("int8", symmetric_activations=True, per_channel=False)
    result = quantized(model(CHAIN), scheme).model
    assert value(result, "w1_scale").shape == ()


def test_a_grouped_deconvolution_has_one_scale_since_its_channels_lie_on_two_axes():
    graph = model(
        "c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)  y = ConvTranspose <group = 2> (c1, grouped)",
        grouped=np.ones((4, 3, 2, 2), np.float32),
    )
    assert value(quantized(graph, TENSORRT).model, "grouped_scale").shape == ()


@pytest.mark.parametrize("body", [CHAIN, SKIP, SILU], ids=["chain", "skip", "silu"])
def test_symmetric_means_int8_and_zero_points_of_zero(body):
    result = quantized(model(body), TENSORRT).model
    for _, zero_point in dequantizers(result).values():
        assert zero_point.dtype == np.int8
        assert not zero_point.any()


def test_for_tensorrt_biases_stay_float():
    result = quantized(model(CHAIN), TENSORRT).model
    assert node(result, "c1").input[2] == "b1"
    assert value(result, "b1").dtype == np.float32
    assert not any(zero_point.dtype == np.int32 for _, zero_point in dequantizers(result).values())


def test_for_onnx_runtime_biases_are_int32_at_the_scale_of_the_product():
    graph = model(CHAIN)
    result = quantized(graph, ONNX_RUNTIME_VNNI).model
    scale = value(result, "b1_scale")
    np.testing.assert_allclose(scale, value(result, "x_scale") * value(result, "w1_scale"), rtol=1e-6)
    assert value(result, "b1_quantized").dtype == np.int32
    np.testing.assert_allclose(value(result, "b1_quantized") * scale, value(graph, "b1"), atol=scale.max())


@both
def test_a_channel_without_weights_keeps_its_bias(scheme):
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    weight[2] = 0
    graph = model("y = Conv (x, w1, b1)", w1=weight, b1=np.array([1, 2, 1234.5678, 4], np.float32))
    found = run(quantized(graph, scheme).model, images())["y"]
    np.testing.assert_allclose(found[:, 2], 1234.5678, rtol=1e-6)


@both
def test_a_layer_that_is_left_out_reads_and_multiplies_floats(scheme):
    graph = model(SKIP)
    result = quantized(graph, scheme, ["c2"])
    assert node(result.model, "c2").input[:] == node(graph, "c2").input[:] == ["c1", "w2"]
    assert "c2" not in result.layers
    assert ("c2", "asked for by 'c2'") in [(entry.node, entry.why) for entry in result.excluded]


@both
def test_a_layer_that_is_left_out_reads_floats_beside_one_that_is_not(scheme):
    graph = model("c1 = Conv (x, w1)  a = Conv (c1, w3)  b = Conv (c1, w3)  y = Concat <axis = 1> (a, b)")
    result = quantized(graph, scheme, ["b"]).model
    assert sources(result, "a") == ["DequantizeLinear", "DequantizeLinear"]
    assert node(result, "b").input[:] == ["c1", "w3"]


@both
@pytest.mark.parametrize(
    ("pattern", "left"), [("c1", {"c2", "y"}), ("c*", {"y"}), ("Conv", set()), ("[cy]2", {"c1", "y"})]
)
def test_layers_are_left_out_by_name_operator_and_pattern(scheme, pattern, left):
    graph = model(SKIP + "z = MatMul (y, k)", outputs="y z", k=np.eye(6, dtype=np.float32))
    table = calibrate(graph, [images(size=6)])
    layers = quantize(graph, table, scheme, [pattern]).layers
    assert {name for name in layers if node(graph, name).op_type == "Conv"} == left
    assert "z" in layers


def test_a_pattern_that_matches_nothing_is_an_error_that_offers_the_nearest():
    with pytest.raises(UsageError) as error:
        quantized(model(CHAIN), TENSORRT, ["Convv"])
    assert "'Convv' matches no node and no operator" in str(error.value)
    assert "did you mean Conv?" in str(error.value)


def test_for_tensorrt_a_skip_connection_is_quantised_where_it_comes_from_elsewhere():
    result = quantized(model(SKIP), TENSORRT)
    assert "s" in result.layers
    assert sources(result.model, "s") == ["Conv", "DequantizeLinear"]


def test_for_tensorrt_one_of_two_convolutions_that_meet_is_quantised():
    graph = model("c1 = Conv (x, w1)  c2 = Conv (x, w1, b1)  s = Add (c1, c2)  y = Conv (s, w3)")
    assert sources(quantized(graph, TENSORRT).model, "s") == ["Conv", "DequantizeLinear"]


def test_for_tensorrt_an_addition_that_no_convolution_feeds_stays_float():
    graph = model("c1 = Conv (x, w1)  r = Relu (c1)  g = Sigmoid (c1)  s = Add (r, g)  y = Conv (s, w3)")
    assert sources(quantized(graph, TENSORRT).model, "s") == ["Relu", "Sigmoid"]


def test_for_onnx_runtime_what_lies_between_layers_reads_8_bits_too():
    result = quantized(model(SILU), ONNX_RUNTIME_VNNI)
    assert result.layers == ("c1", "g", "s", "y")
    assert node(result.model, "g").input[0] == node(result.model, "s").input[0] == "c1_dequantized"


@both
def test_what_follows_the_last_layer_stays_float(scheme):
    """So do the decoding of boxes, and scores."""
    graph = model("c1 = Conv (x, w1)  g = Sigmoid (c1)  s = Mul (g, c1)  d = Add (s, g)  y = Concat <axis = 1> (d, s)")
    assert quantized(graph, scheme).layers == ("c1",)


def test_what_is_joined_keeps_a_scale_for_each_part():
    graph = model(
        """a = Conv (x, w1)
        large = Mul (a, a)
        s = Concat <axis = 1> (a, large)
        y = Conv (s, wide)""",
        wide=np.random.default_rng(0).normal(size=(2, 8, 1, 1)).astype(np.float32),
    )
    result = quantized(graph, ONNX_RUNTIME_VNNI)
    assert result.layers == ("a", "large", "s", "y")
    assert value(result.model, "large_scale") > 2 * value(result.model, "a_scale")
    assert cosine(run(result.model, images())["y"], run(graph, images())["y"]) > 0.999


@both
def test_sampling_at_computed_places_stays_float(scheme):
    """So does what a deformable convolution becomes: its offsets are fractions of a pixel."""
    graph = model(
        """c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
        offsets = Conv <pads = [1, 1, 1, 1]> (x, two)
        grid = Transpose <perm = [0, 2, 3, 1]> (offsets)
        sampled = GridSample (c1, grid)
        y = Conv (sampled, w3)""",
        two=np.random.default_rng(0).normal(scale=0.1, size=(2, 3, 3, 3)).astype(np.float32),
    )
    result = quantized(graph, scheme)
    assert result.layers == ("c1", "offsets", "y")
    assert node(result.model, "sampled").input[:] == ["c1", "grid"]
    assert np.isfinite(run(result.model, images())["y"]).all()


def test_what_moves_values_keeps_their_scale():
    graph = model(
        """c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
        p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c1)
        y = Conv (p, w3)"""
    )
    result = quantized(graph, ONNX_RUNTIME_VNNI).model
    assert "p" in quantized(graph, ONNX_RUNTIME_VNNI).layers
    np.testing.assert_array_equal(value(result, "p_scale"), value(result, "c1_scale"))


def test_what_moves_values_stays_float_where_one_reader_is_float():
    graph = model(
        """c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
        p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c1)
        e = Exp (p)
        y = Conv (p, w3)""",
        outputs="y e",
    )
    assert quantized(graph, ONNX_RUNTIME_VNNI).layers == ("c1", "y")


def test_cubic_resizing_overshoots_and_stays_float_where_linear_does_not():
    body = 'c1 = Conv (x, w1)  r = Resize <mode = "{}"> (c1, , scales)  y = Conv (r, w3)'
    scales = np.array([1, 1, 2, 2], np.float32)
    linear, cubic = (
        quantized(model(body.format(mode), scales=scales), ONNX_RUNTIME_VNNI) for mode in ("linear", "cubic")
    )
    assert "r" in linear.layers
    assert "r" not in cubic.layers
    assert [(entry.node, entry.why) for entry in cubic.excluded] == [("r", "it leaves the range of its input")]


@both
def test_a_layer_that_only_ever_read_zeros_stays_float(scheme):
    """Nothing is known of what it may read one day, and its bias would be rounded to that."""
    graph = model("c1 = Conv (x, w1)  n = Abs (x)  z = Neg (n)  r = Relu (z)  y = Conv (r, w1, b1)", outputs="c1 y")
    result = quantized(graph, scheme)
    assert result.layers == ("c1",)
    assert [(entry.node, entry.why) for entry in result.excluded] == [("y", "it reads nothing but zeros")]


@both
def test_a_layer_that_reads_infinity_stays_float(scheme):
    graph = model("c1 = Conv (x, w1)  i = Div (c1, zero)  y = Conv (i, w3)", zero=np.float32(0))
    table = calibrate(graph, [{"x": np.ones((1, 3, 8, 8), np.float32)}])
    result = quantize(graph, table, scheme)
    assert result.layers == ("c1",)
    assert [(entry.node, entry.operator, entry.why) for entry in result.excluded] == [
        ("y", "Conv", "i reaches infinity")
    ]


@both
def test_weights_that_are_computed_stay_float(scheme):
    graph = model("a = Neg (w1)  c1 = Conv (x, a)  y = Conv (c1, w3)")
    result = quantized(graph, scheme)
    assert result.layers == ("y",)
    assert result.excluded[0].why == "its weight is computed"


@both
def test_weights_that_two_layers_share_are_stored_once(scheme):
    graph = model("a = Conv (x, w1)  n = Neg (x)  b = Conv (n, w1)  y = Concat <axis = 1> (a, b)")
    result = quantized(graph, scheme).model
    assert [
        entry.name for entry in result.graph.initializer if entry.data_type == onnx.TensorProto.INT8 and entry.dims
    ] == [
        "w1_quantized",
        *(["w1_zero_point"]),
    ]
    assert "w1" not in {entry.name for entry in result.graph.initializer}


@both
def test_a_layer_inside_a_branch_is_left_alone_and_still_finds_what_it_reads(scheme):
    graph = model(
        """c1 = Conv (x, w1)
        y = If (yes) <
            then_branch = t () => (float[batch, channels, height, width] a) { a = Conv (c1, w3) },
            else_branch = e () => (float[batch, channels, height, width] b) { b = Neg (c1) }
        >
        z = Conv (c1, w3)""",
        outputs="y z",
        yes=np.array(True),
    )
    graph.graph.initializer.extend(model("y = Conv (x, w3)").graph.initializer)
    seen = {entry.name: entry for entry in graph.graph.initializer}
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(seen.values())
    result = quantized(graph, scheme)
    assert result.layers == ("c1", "z")
    assert cosine(run(result.model, images())["y"], run(graph, images())["y"]) > 0.999


@both
def test_a_model_without_layers_cannot_be_quantised(scheme):
    graph = model("y = Relu (x)")
    with pytest.raises(CompileError, match="nothing can be quantised"):
        quantized(graph, scheme)


def test_a_model_with_every_layer_left_out_says_why():
    with pytest.raises(CompileError, match="asked for by 'Conv'"):
        quantized(model(CHAIN), TENSORRT, ["Conv"])


def test_a_table_of_another_model_is_refused():
    with pytest.raises(CompileError, match="belongs to another model"):
        quantize(model(SKIP), table_of(model(CHAIN)), TENSORRT)


def test_a_tensor_without_a_range_is_named():
    graph = model(CHAIN)
    table = table_of(graph)
    lacking = CalibrationTable(table.method, table.model, table.data, table.items, {"x": Range(-1.0, 1.0)})
    with pytest.raises(CompileError) as error:
        quantize(graph, lacking, TENSORRT)
    assert "Conv y" in str(error.value)
    assert "does not hold r1" in str(error.value)


@both
def test_a_quantised_model_is_not_quantised_again(scheme):
    result = quantized(model(CHAIN), scheme).model
    with pytest.raises(CompileError, match="it is quantised already"):
        quantize(result, table_of(result), scheme)


def test_an_opset_without_scales_for_each_channel_is_refused():
    graph = model(CHAIN, opset=12)
    with pytest.raises(CompileError, match="its opset is 12"):
        quantized(graph, TENSORRT)


@pytest.mark.parametrize(
    ("activations", "symmetric"), [("int4", False), ("uint8", True)], ids=["unknown integers", "unsigned and symmetric"]
)
def test_a_scheme_that_makes_no_sense_is_refused(activations, symmetric):
    with pytest.raises(UsageError):
        QuantizationScheme(activations, symmetric)


def test_a_product_of_whole_numbers_stays_beside_layers_that_are_quantised():
    body = f"{CHAIN}  i = Cast <to = 7> (c1)  product = MatMul (i, k)  n = Cast <to = 1> (product)  z = Identity (n)"
    graph = onnx.shape_inference.infer_shapes(model(body, "y z", k=np.ones((8, 8), np.int64)))
    result = quantized(graph, ONNX_RUNTIME_VNNI)
    assert result.layers == ("c1", "y")
    assert [(one.node, one.why) for one in result.excluded if one.operator == "MatMul"] == [
        ("product", "it does not compute in fp32")
    ]
