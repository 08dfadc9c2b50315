"""What a model computes in as it is given."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from compiler.graphs.tensor_types import tensor_types
from compiler.precision.own import IN_FP32, own_precision


def model(body, kind="float", opset=18, domains="", **constants):
    text = f'<ir_version: 8, opset_import: ["": {opset}{domains}]> g ({kind}[n, 3] x) => ({kind}[n, 3] y) {{ {body} }}'
    parsed = onnx.parser.parse_model(text)
    parsed.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()
    )
    return parsed


def own(given):
    return own_precision(given, lambda: tensor_types(given))


@pytest.mark.parametrize("kind", ["float", "double"])
def test_floats_are_in_fp32_whatever_counts_beside_them(kind):
    assert own(model("s = Shape (x)  y = Relu (x)", kind)) == IN_FP32


@pytest.mark.parametrize(("kind", "name"), [("float16", "fp16"), ("bfloat16", "bf16")])
def test_16_bits_are_what_nodes_compute_in(kind, name):
    found = own(model("a = Relu (x)  y = Neg (a)", kind))
    assert (found.name, found.changed, found.nodes) == (name, 2, 2)


def test_what_is_stored_in_16_bits_and_computed_in_32_is_in_fp32():
    assert own(model("f = Cast <to = 1> (w)  y = Mul (x, f)", w=np.ones(3, np.float16))) == IN_FP32


def test_casts_in_and_out_leave_a_network_in_16_bits():
    found = own(model("h = Cast <to = 10> (x)  a = Relu (h)  y = Cast <to = 1> (a)"))
    assert (found.name, found.changed, found.nodes) == ("fp16", 1, 3)


def test_a_constant_node_and_a_branch_count():
    body = """c = Constant <value = bool {1}> ()  h = Cast <to = 10> (x)
        b = If (c) <then_branch = t () => (float16[n, 3] p) { p = Neg (h) },
                    else_branch = e () => (float16[n, 3] q) { q = Abs (h) }>
        y = Cast <to = 1> (b)"""
    found = own(model(body))
    assert (found.name, found.changed, found.nodes) == ("fp16", 3, 5)


@pytest.mark.parametrize(
    ("body", "domains"),
    [
        ("q = QuantizeLinear (x, s)  y = DequantizeLinear (q, s)", ""),
        ("q, s2, z = DynamicQuantizeLinear (x)  y = DequantizeLinear (q, s2, z)", ""),
        ("y = com.microsoft.DynamicQuantizeMatMul (x, w, s)", ', "com.microsoft": 1'),
    ],
)
def test_integers_with_scales_are_int8(body, domains):
    constants = {"s": np.float32(0.1), "w": np.ones((3, 3), np.uint8)}
    assert own(model(body, domains=domains, **constants)).name == "int8"


def test_a_domain_of_somebody_elses_says_nothing():
    body = "y = own.QLinearThing (x)"
    assert own(model(body, domains=', "own": 1')) == IN_FP32


def never():
    raise AssertionError("the types were inferred")


@pytest.mark.parametrize(
    ("body", "domains"),
    [
        ("f = Cast <to = 1> (i)  y = Mul (x, f)", ""),
        ("q = QuantizeLinear (x, s)  h = Cast <to = 10> (x)  y = DequantizeLinear (q, s)", ""),
    ],
)
def test_types_are_not_inferred_where_they_change_nothing(body, domains):
    given = model(body, domains=domains, i=np.ones(3, np.int32), s=np.float32(0.1))
    assert own_precision(given, never) == own(given)


def test_types_are_inferred_where_a_function_is_told_what_to_cast_to():
    text = """<ir_version: 8, opset_import: ["": 18, "own": 1]> g (float[n, 3] x) => (float[n, 3] y) {
            h = own.To <kind = 10> (x)  a = Relu (h)  y = Cast <to = 1> (a) }
        <domain: "own", opset_import: ["": 18]> To <kind> (v) => (w) { w = Cast <to: int = @kind> (v) }"""
    given = onnx.parser.parse_model(text)
    with pytest.raises(AssertionError, match="the types were inferred"):
        own_precision(given, never)
    assert own(given).name == "fp16"


def test_a_cast_to_nothing_and_one_without_an_output_are_the_checkers_to_name():
    given = model("h = Cast <to = 10> (x)  a = Relu (h)  y = Cast <to = 1> (a)")
    del given.graph.node[0].attribute[:]
    assert tensor_types(given).keys() >= {"x", "y"}
    del given.graph.node[2].output[:]
    assert tensor_types(given)["x"] == onnx.TensorProto.FLOAT
