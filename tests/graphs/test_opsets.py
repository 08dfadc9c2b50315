"""Versions that a model names: as old as what is in it allows, and never newer than what ONNX Runtime reads."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from compiler.errors import CompileError
from compiler.graphs.opsets import ir_version_for, later_operators, newest_runnable_opset, runnable, with_opset

CPU = ["CPUExecutionProvider"]


def saved_by_default(operator="Relu", **attributes):
    """Return a model as the installed onnx makes one: of its newest opset and IR version."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy"]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"], **attributes)], "g", values[:1], values[1:])
    return helper.make_model(graph)


def parsed(body, opset=11, shape="n, 3"):
    text = f'<ir_version: 8, opset_import: ["": {opset}]> g (float[{shape}] x) => (float[{shape}] y) {{ {body} }}'
    return onnx.parser.parse_model(text)


def run(model, x):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=CPU).run(None, {"x": x})[0]


def test_the_newest_opset_is_read_and_the_next_one_is_not():
    newest = newest_runnable_opset()
    x = np.array([[-1, 0, 2]], np.float32)
    assert run(parsed("y = Relu (x)", newest), x).tolist() == [[0, 0, 2]]
    if newest < onnx.defs.onnx_opset_version():
        with pytest.raises(Exception, match=f"till opset {newest}"):
            run(parsed("y = Relu (x)", newest + 1), x)


@pytest.mark.parametrize(("opset", "ir_version"), [(11, 8), (18, 8), (19, 9), (21, 10), (23, 11)])
def test_the_ir_version_is_the_oldest_that_has_the_opset(opset, ir_version):
    assert ir_version_for(parsed("y = Relu (x)", opset)) == ir_version


def test_the_newest_opset_of_the_installed_onnx_has_the_ir_version_of_its_release():
    newest = onnx.defs.onnx_opset_version()
    releases = [ir_version for _, ir_version, opset, *_ in helper.VERSION_TABLE if opset == newest]
    assert ir_version_for(parsed("y = Relu (x)", newest)) == min(releases)


def test_a_function_of_several_signatures_needs_a_newer_ir_version():
    model = parsed("y = Relu (x)", 18)
    model.functions.append(onnx.FunctionProto(name="f", domain="own", overload="second"))
    assert ir_version_for(model) == 10


def test_a_model_that_is_saved_with_the_defaults_of_onnx_runs():
    model = runnable(saved_by_default(), "x.onnx")
    assert run(model, np.array([[-1, 0, 2]], np.float32)).tolist() == [[0, 0, 2]]


def test_an_operator_that_changed_since_is_converted():
    model = saved_by_default("Celu", alpha=2.0)
    changed = onnx.defs.get_schema("Celu").since_version
    assert later_operators(model) == (("Celu",) if newest_runnable_opset() < changed else ())
    x = np.array([[-1, 0, 2]], np.float32)
    np.testing.assert_allclose(run(runnable(model, "x.onnx"), x), [[2 * (np.exp(-0.5) - 1), 0, 2]], rtol=1e-6)


def test_attributes_that_became_inputs_are_converted_in_branches_too():
    body = """c = Constant <value = bool {1}> ()
        y = If (c) <then_branch = t () => (float[n, 3] p) {
                        u = Unsqueeze <axes = [0]> (x)  p = Squeeze <axes = [0]> (u) },
                    else_branch = e () => (float[n, 3] q) { q = Neg (x) }>"""
    model = parsed(body)
    converted = with_opset(model, 13, "int8")
    assert converted.opset_import[0].version == 13
    onnx.checker.check_model(converted, full_check=True)
    x = np.ones((2, 3), np.float32)
    assert np.array_equal(run(converted, x), run(model, x))


def test_a_model_that_is_new_enough_is_copied_as_it_is():
    model = parsed("y = Relu (x)", 18)
    copied = with_opset(model, 13, "int8")
    assert copied == model
    assert copied is not model


def test_what_the_converter_cannot_is_refused_with_its_reason():
    model = parsed("y = Scatter (x, places, x)", 8)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((1, 3), np.int64), "places"))
    with pytest.raises(CompileError, match="cannot be converted from opset 8 to 13") as caught:
        with_opset(model, 13, "int8")
    assert "int8 needs opset 13, and onnx.version_converter says: " in caught.value.why


def test_a_function_survives_a_conversion():
    text = """<ir_version: 10, opset_import: ["": 11, "own": 1]>
        g (float[n, 3] x) => (float[n, 3] y) { a = own.twice (x)  y = Neg (a) }
        <domain: "own", opset_import: ["": 11]> twice (p) => (q) { q = Add (p, p) }"""
    converted = with_opset(onnx.parser.parse_model(text), 13, "fp16")
    assert run(converted, np.ones((1, 3), np.float32)).tolist() == [[-2, -2, -2]]
