"""Constants become initializers, and what nothing reads goes; what a branch reads stays."""

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from compiler.graphs import with_lifted_constants, without_unused

BRANCHES = """
    y = If (yes) <
        then_branch = t () => (float[n] a) { c = Constant <value_floats = [5.0]> ()  a = Add (inner, c) },
        else_branch = e () => (float[n] b) { b = Neg (x) }
    >"""


def model(body, outputs="float[n] y", initializers=""):
    text = f"""<ir_version: 8, opset_import: ["": 18]>
        g (float[n] x, bool yes) => ({outputs}) <{initializers}> {{{body}}}"""
    return onnx.parser.parse_model(text)


def operators(graph):
    return [node.op_type for node in graph.node]


def run(graph):
    onnx.checker.check_model(graph, full_check=True)
    inputs = {"x": np.array([1, -2, 3], np.float32), "yes": np.array(True)}
    return ReferenceEvaluator(graph).run(None, inputs)


@pytest.mark.parametrize(
    ("constant", "value"),
    [
        ("value = float[1] {2.5}", np.array([2.5], np.float32)),
        ("value_float = 2.5", np.array(2.5, np.float32)),
        ("value_floats = [2.5, 3.5, 4.5]", np.array([2.5, 3.5, 4.5], np.float32)),
    ],
)
def test_every_kind_of_constant_becomes_an_initializer(constant, value):
    before = model(f"c = Constant <{constant}> ()  y = Add (x, c)")
    after = with_lifted_constants(before)
    assert operators(after.graph) == ["Add"]
    (weight,) = after.graph.initializer
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(weight), value)
    assert weight.name == "c"
    np.testing.assert_array_equal(run(after), run(before))


@pytest.mark.parametrize("kind", ["value_int = 1", "value_ints = [1]"])
def test_whole_numbers_stay_whole(kind):
    after = with_lifted_constants(model(f"c = Constant <{kind}> ()  f = Cast <to = 1> (c)  y = Add (x, f)"))
    assert after.graph.initializer[0].data_type == onnx.TensorProto.INT64
    assert operators(after.graph) == ["Cast", "Add"]


def test_a_constant_in_a_branch_is_lifted_within_it():
    before = model("inner = Abs (x)" + BRANCHES)
    after = with_lifted_constants(before)
    (branch,) = [a.g for a in after.graph.node[1].attribute if a.name == "then_branch"]
    assert operators(branch) == ["Add"]
    assert [weight.name for weight in branch.initializer] == ["c"]
    np.testing.assert_array_equal(run(after), run(before))


def test_a_constant_that_is_the_result_stays_a_node():
    before = model("y = Constant <value_floats = [2.5]> ()")
    assert operators(with_lifted_constants(before).graph) == ["Constant"]


def test_the_model_that_is_given_is_not_changed():
    before = model("c = Constant <value_float = 2.5> ()  y = Add (x, c)")
    content = before.SerializeToString(deterministic=True)
    with_lifted_constants(before)
    without_unused(before)
    assert before.SerializeToString(deterministic=True) == content


def test_a_model_without_constants_stays_as_it_is_to_the_byte():
    before = with_lifted_constants(model("y = Add (x, w)", initializers="float[1] w = {2.5}"))
    after = with_lifted_constants(before)
    assert after.SerializeToString(deterministic=True) == before.SerializeToString(deterministic=True)


def test_what_nothing_reads_goes_and_what_only_that_read_goes_too():
    before = model("a = Add (x, w)  b = Neg (a)  y = Abs (x)", initializers="float[1] w = {2.5}")
    after = without_unused(before)
    assert operators(after.graph) == ["Abs"]
    assert not after.graph.initializer


def test_what_only_a_branch_reads_stays():
    after = without_unused(model("inner = Abs (x)" + BRANCHES))
    assert operators(after.graph) == ["Abs", "If"]
