import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from rewriters import Target
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.settle_reshapes import settle_reshapes

TARGET = Target("onnxruntime")


def model(source, result, *target, operator="Reshape"):
    """A Reshape of `x` whose target is joined from `sizes`, the input's shape, and what the test says."""
    nodes = [
        helper.make_node("Shape", ["x"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "picked"], ["some"]),
        helper.make_node("Concat", ["some", "others"], ["target"], axis=0),
        helper.make_node(operator, ["x", "target"], ["reshaped"], name="reshape"),
        helper.make_node("Sin", ["reshaped"], ["y"]),
    ]
    picked, others = target
    constants = [
        numpy_helper.from_array(np.array(list(v), np.int64), n) for n, v in (("picked", picked), ("others", others))
    ]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", source), ("y", result))]
    between = helper.make_tensor_value_info("reshaped", TensorProto.FLOAT, result)
    graph = helper.make_graph(nodes, "graph", ports[:1], ports[1:], constants, value_info=[between])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_a_dimension_in_its_place_is_copied_and_another_worked_out(run, operators):
    original = model(["batch", 4, "height", "width"], ["batch", 4, "cells"], [0], [4, -1])
    changed, entry = apply_graph_rewriter(original, settle_reshapes, TARGET)
    assert operators(changed) == ["Reshape", "Sin"]
    assert (entry.status, entry.times, entry.where) == ("fired", 1, ("reshape",))
    assert numpy_helper.to_array(changed.graph.initializer[0]).tolist() == [0, 4, -1]
    x = torch.randn(2, 4, 3, 5)
    assert np.array_equal(run(changed, x)[0], run(original, x)[0])


def test_a_dimension_elsewhere_is_worked_out(run, operators):
    original = model(["batch", 4], [2, 2, "batch"], [], [2, 2, -1])
    changed, _ = apply_graph_rewriter(original, settle_reshapes, TARGET)
    assert operators(changed) == ["Reshape", "Sin"]
    x = torch.randn(3, 4)
    assert np.array_equal(run(changed, x)[0], run(original, x)[0])


@pytest.mark.parametrize("operator", ["Reshape", "Expand"])
def test_what_gives_the_same_shape_goes(operators, operator):
    original = model(["batch", "cells", 4], ["batch", "cells", 4], [0, 1], [4], operator=operator)
    changed, entry = apply_graph_rewriter(original, settle_reshapes, TARGET)
    assert operators(changed) == ["Sin"]
    assert entry.where == ("reshape",)


@pytest.mark.parametrize(
    ("source", "result", "picked", "others"),
    [
        (["batch", 4, "cells"], ["cells", "batch", 4], [2, 0], [4]),
        ([None, 4, None], [None, None, 4], [0, 2], [4]),
    ],
    ids=["moved", "without names"],
)
def test_a_reshape_with_two_dimensions_to_work_out_stays(source, result, picked, others):
    original = model(source, result, picked, others)
    same, entry = apply_graph_rewriter(original, settle_reshapes, TARGET)
    assert same is original
    assert (entry.status, entry.reason) == ("skipped", "pattern not found")


def test_an_expand_to_another_shape_stays():
    original = model(["batch", 1, 4], ["batch", 3, 4], [0], [3, 4], operator="Expand")
    assert apply_graph_rewriter(original, settle_reshapes, TARGET)[0] is original
