"""The table of TensorRT-RTX agrees with what it really builds, on a sample of its rows: what it takes and what not."""

import onnx
import pytest

from compiler.artifact import OnnxProgram
from compiler.backends.facts import read_facts
from compiler.backends.nvidia.plan import plan
from tests.backends.measure_tensorrt_rtx import CAPABILITIES, builds, in_precision

pytest.importorskip("tensorrt_rtx")

IMAGE = "float[1, 3, 8, 8]"


def top_k(k):
    return f"g (float[1, 5000] x) => (float[1, {k}] v, int64[1, {k}] i) <int64[1] k = {{{k}}}> {{ v, i = TopK (x, k) }}"


def quantized(zero_point):
    return f"""g ({IMAGE} x) => ({IMAGE} y) <float scale = {{0.1}}, {zero_point}> {{
        q = QuantizeLinear (x, scale, zero) y = DequantizeLinear (q, scale, zero)
    }}"""


def unary(operator, type="float[1, 3, 8, 8]"):
    return f"g ({type} x) => ({type} y) {{ y = {operator} (x) }}"


def resized(attributes):
    return f"""g ({IMAGE} x) => (float[1, 3, 16, 16] y) <float[4] scales = {{1.0, 1.0, 2.0, 2.0}}> {{
        y = Resize <{attributes}> (x, , scales)
    }}"""


def scattered(operator, reduction):
    places = 4 if operator == "ScatterElements" else 1
    return f"""g (float[4, 4] x, int64[1, {places}] at, float[1, 4] new) => (float[4, 4] y) {{
        y = {operator} <reduction = "{reduction}"> (x, at, new)
    }}"""


def pooled(attributes, outputs="float[1, 3, n, m] y"):
    names = ", ".join(output.split()[-1] for output in outputs.split("; "))
    ports = outputs.replace("; ", ", ")
    return f"g ({IMAGE} x) => ({ports}) {{ {names} = MaxPool <kernel_shape = [2, 2]{attributes}> (x) }}"


def product(type):
    return f"g ({type}[4, 4] x) => ({type}[4, 4] y) {{ y = MatMul (x, x) }}"


def filled(input, length):
    """The length of the output is `c`, which is computed from an input."""
    return f"""g (float[4] x, {input}) => (float[m] y)
        <int64[1] at = {{0}}, int64[1] one = {{1}}, int64[4] of = {{9, 8, 7, 6}}> {{
        {length} all = ConstantOfShape (c) largest = ReduceMax <keepdims = 0> (x) y = Add (all, largest)
    }}"""


COUNTED = """
    row = Gather (n, at) first = Gather <axis = 1> (row, at) wide = Cast <to = 7> (first) last = Squeeze (wide)
    c = Add (last, one)
"""
PARTLY = "f = Cast <to = 1> (n) v, i = TopK (f, one) c = Add (i, n)"


def shaped(call, more=""):
    """The shape of the output is, or is in part, the values of an input."""
    return f"g (float[4, 4] x, int64[2] n) => (float[a, b] y) <int64[2] zeros = {{0, 0}}> {{ {more} y = {call} }}"


TAKEN = {
    "k of 3840": top_k(3840),
    "symmetric": quantized("int8 zero = {0}"),
    "double": unary("Relu", "double[4]"),
    "linear": resized('mode = "linear"'),
    "cubic": resized('mode = "cubic"'),
    "dilation of 1": pooled(", dilations = [1, 1]"),
    "scatter": scattered("ScatterND", "none"),
    "scatter elements": scattered("ScatterElements", "none"),
    "volume": "g (float[1, 3, 4, 4, 4] x, float[4, 3, 1, 1, 1] w) => (float[1, 4, 4, 4, 4] y) { y = Conv (x, w) }",
    "fmod": "g (float[4] x) => (float[4] y) { y = Mod <fmod = 1> (x, x) }",
    "uint8 to float": "g (uint8[4] x) => (float[4] y) { y = Cast <to = 1> (x) }",
    "cumulative sum": "g (float[4, 4] x) => (float[4, 4] y) <int64 axis = {1}> { y = CumSum (x, axis) }",
    "one-hot": """g (int64[4] x) => (float[4, 5] y) <int64 depth = {5}, float[2] v = {0.0, 1.0}> {
        y = OneHot (x, depth, v)
    }""",
    "range": """g (float[5, 4] x) => (float[n] y) <float zero = {0.0}, float one = {1.0}> {
        all = Shape <end = 1> (x) size = Squeeze (all) last = Cast <to = 1> (size) y = Range (zero, last, one)
    }""",
    "loop": """g (float[4] x) => (float[4] y) <int64 n = {3}, bool go = {1}> {
        y = Loop (n, go, x) <
            body = b (int64 i, bool c, float[4] a) => (bool d, float[4] z) { d = Identity (c) z = Relu (a) }
        >
    }""",
    "filled": """g (float[5, 4] x) => (float[5, 4] y) { size = Shape (x) c = ConstantOfShape (size) y = Add (x, c) }""",
    "celu": unary("Celu"),
    "length of an input": filled("float[5, 4] n", "s = Shape (n) c = Gather (s, at)"),
    "length from what is largest": filled("float[5] n", "v, c = TopK (n, one)"),
    "rows by the values of an input": "g (float[4, 4] x, int64[2] n) => (float[2, 4] y) { y = Gather (x, n) }",
}

REFUSED = {
    "k of 3841": top_k(3841),
    "asymmetric": quantized("int8 zero = {3}"),
    "int32 bias": """g (float[3] x) => (float[3] y) <float scale = {0.1}, int32[3] bias = {1, 2, 3}> {
        b = DequantizeLinear (bias, scale) y = Add (x, b)
    }""",
    "int16": unary("Identity", "int16[4]"),
    "string": unary("Identity", "string[4]"),
    "uint8 product": "g (uint8[4] x) => (uint8[4] y) { y = Mul (x, x) }",
    "symmetric half pixels": resized('mode = "linear", coordinate_transformation_mode = "half_pixel_symmetric"'),
    "antialiasing": resized('mode = "linear", antialias = 1'),
    "dilation of 2": pooled(", dilations = [2, 2]"),
    "indices": pooled("", "float[1, 3, n, m] y; int64[1, 3, n, m] i"),
    "scatter the largest": scattered("ScatterND", "max"),
    "scatter elements, added": scattered("ScatterElements", "add"),
    "four dimensions": """g (float[1, 3, 4, 4, 4, 4] x, float[4, 3, 1, 1, 1, 1] w) => (float[1, 4, 4, 4, 4, 4] y) {
        y = Conv (x, w)
    }""",
    "mod of floats": "g (float[4] x) => (float[4] y) { y = Mod (x, x) }",
    "axes of a reduction": "g (float[4, 4] x, int64[1] axes) => (float[n, m] y) { y = ReduceSum (x, axes) }",
    "suppression": """g (float[1, 9, 4] boxes, float[1, 2, 9] scores) => (int64[n, 3] y) <int64 most = {3}> {
        y = NonMaxSuppression (boxes, scores, most)
    }""",
    "non-zero": "g (float[4] x) => (int64[1, n] y) { y = NonZero (x) }",
    "length from an input": filled("int64[1] n", "c = Identity (n)"),
    "length from coordinates": filled("int32[50, 4] n", COUNTED),
    "length that is looked up": filled("int64[1] n", "c = Gather (of, n)"),
    "length from an input among others": filled("int64[1] n", PARTLY),
    "shape": shaped("Reshape (x, n)"),
    "expanded": shaped("Expand (x, n)"),
    "repeated": shaped("Tile (x, n)"),
    "padded": shaped("Pad (x, p)", "p = Concat <axis = 0> (n, zeros)"),
    "slice to": shaped("Slice (x, zeros, n)"),
    "slice from": shaped("Slice (x, n, n)"),
    "resized": shaped('Resize <mode = "nearest"> (x, , , n)'),
    "counted": "g (int64 n, int64 o, int64 s) => (int64[a] y) { y = Range (o, n, s) }",
    "no such operator": "g (float[4, 4] x) => (float y) { y = Det (x) }",
    "plugin": "g (float[1, 9, 4] b, float[1, 9, 2] s) => (int32[1, 1] y) { y = TRT.EfficientNMS_TRT (b, s) }",
}


def planned_and_built(text, folder, capability="SM86"):
    """Return why the plan says that it cannot be built, and why it really cannot."""
    model = parsed(text) if isinstance(text, str) else text
    onnx.save(model, folder / "program.onnx")
    program = OnnxProgram(folder / "program.onnx", (), (), 19, 1)
    return plan(program, "tensorrt_rtx", "", (capability,)), builds(model, capability)


def parsed(text, opset=19):
    return onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}, "TRT" : 1]> {text}')


@pytest.mark.parametrize("name", TAKEN)
def test_what_the_plan_lets_pass_is_built(name, tmp_path):
    assert planned_and_built(TAKEN[name], tmp_path) == ((), "")


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_plan_objects_to_is_refused(name, tmp_path):
    obstacles, problem = planned_and_built(REFUSED[name], tmp_path)
    assert obstacles
    assert problem


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_matrix_products_agree_on_every_capability(capability, tmp_path):
    obstacles, problem = planned_and_built(product("float"), tmp_path, capability)
    assert bool(obstacles) == bool(problem) == (capability == "SM75")
    assert planned_and_built(product("float16"), tmp_path, capability) == ((), "")


def test_convolutions_in_three_dimensions_agree_on_turing(tmp_path):
    single = parsed(TAKEN["volume"])
    obstacles, problem = planned_and_built(single, tmp_path, "SM75")
    assert obstacles[0].fix == "precision=fp16"
    assert "Turing" in problem
    assert planned_and_built(in_precision(single, "fp16"), tmp_path, "SM75") == ((), "")


def test_what_lacks_half_precision_agrees(tmp_path):
    obstacles, problem = planned_and_built(in_precision(parsed(TAKEN["celu"]), "fp16"), tmp_path)
    assert obstacles
    assert problem


@pytest.mark.parametrize(("operator", "type", "taken"), [
    ("ConvTranspose", "bfloat16", False), ("ConvTranspose", "float16", True), ("Conv", "bfloat16", True),
])  # fmt: skip
def test_transposed_convolutions_lack_bf16_alone(operator, type, taken, tmp_path):
    single = f"g ({type}[1, 3, 8, 8] x, {type}[3, 3, 1, 1] w) => ({type}[1, 3, 8, 8] y) {{ y = {operator} (x, w) }}"
    obstacles, problem = planned_and_built(parsed(single, 22), tmp_path)
    assert bool(obstacles) != taken
    assert bool(problem) != taken


def test_uint8_is_objected_to_since_it_is_silently_read_as_int8(tmp_path):
    import tensorrt_rtx as trt

    model = parsed(f"""g ({IMAGE} x) => ({IMAGE} y) <float scale = {{0.1}}> {{
        q = QuantizeLinear (x, scale) y = DequantizeLinear (q, scale)
    }}""")
    obstacles, problem = planned_and_built(model, tmp_path)
    assert {obstacle.operator for obstacle in obstacles} == {"QuantizeLinear", "DequantizeLinear"}
    assert not problem
    logger = trt.Logger(trt.Logger.ERROR)
    network = trt.Builder(logger).create_network(0)
    assert trt.OnnxParser(network, logger).parse(model.SerializeToString())
    types = {layer.type: layer.get_output(0).dtype for layer in map(network.get_layer, range(network.num_layers))}
    assert types[trt.LayerType.QUANTIZE] == trt.int8


def test_the_table_is_about_the_installed_version():
    import tensorrt_rtx

    assert tensorrt_rtx.__version__.startswith(read_facts("tensorrt_rtx").version)
