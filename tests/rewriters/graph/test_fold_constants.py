import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from rewriters import Target
from rewriters.apply import apply_graph_rewriter
from rewriters.graph import fold_constants as module
from rewriters.graph.fold_constants import fold_constants

TARGET = Target("onnxruntime")


def model(*nodes, size=4):
    """Nodes between `x` and `y`, with the constants `steps` (0, 1, ...) and `two`."""
    steps = helper.make_tensor("steps", TensorProto.FLOAT, [size], np.arange(size, dtype=np.float32))
    two = helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [size]) for name in ("x", "y")]
    graph = helper.make_graph(list(nodes), "graph", ports[:1], ports[1:], [steps, two])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


SCALE = helper.make_node("Mul", ["steps", "two"], ["grid"], name="scale")
ADD = helper.make_node("Add", ["x", "grid"], ["y"], name="add")


def test_what_depends_on_constants_alone_becomes_a_constant(run, operators):
    original = model(SCALE, ADD)
    changed, entry = apply_graph_rewriter(original, fold_constants, TARGET)
    assert operators(changed) == ["Add"]
    assert (entry.status, entry.times, entry.where) == ("fired", 1, ("scale",))
    x = torch.randn(4)
    assert np.array_equal(run(changed, x)[0], run(original, x)[0])


def test_a_whole_chain_is_folded_at_once(operators):
    chain = [
        helper.make_node("Sub", ["grid", "two"], ["shifted"], name="shift"),
        helper.make_node("Add", ["x", "shifted"], ["y"]),
    ]
    changed, entry = apply_graph_rewriter(model(SCALE, *chain), fold_constants, TARGET)
    assert operators(changed) == ["Add"]
    assert entry.where == ("scale", "shift")


@pytest.mark.parametrize(
    "nodes",
    [
        [helper.make_node("Exp", ["steps"], ["grid"]), ADD],
        [helper.make_node("Mul", ["x", "two"], ["grid"]), ADD],
        [helper.make_node("Mul", ["steps", "two"], ["y"])],
    ],
    ids=["rounded as each runtime likes", "depends on the input", "graph output"],
)
def test_other_nodes_stay(nodes):
    original = model(*nodes)
    same, entry = apply_graph_rewriter(original, fold_constants, TARGET)
    assert same is original
    assert (entry.status, entry.reason) == ("skipped", "pattern not found")


def test_a_result_too_large_for_the_file_stays(monkeypatch):
    monkeypatch.setattr(module, "LARGEST_RESULT", 3)
    original = model(SCALE, ADD)
    assert apply_graph_rewriter(original, fold_constants, TARGET)[0] is original


def test_a_result_that_would_fill_memory_is_not_computed(monkeypatch):
    monkeypatch.setattr(module, "ReferenceEvaluator", lambda _: pytest.fail("it was computed"))
    fill = helper.make_node("ConstantOfShape", ["many"], ["huge"])
    reduced = [
        helper.make_node("ReduceMax", ["huge"], ["most"], keepdims=0),
        helper.make_node("Add", ["x", "most"], ["y"]),
    ]
    whole = model(fill, *reduced)
    whole.graph.initializer.append(helper.make_tensor("many", TensorProto.INT64, [1], [2**40]))
    _, entry = apply_graph_rewriter(whole, fold_constants, TARGET)
    assert entry.status == "skipped"


def test_every_part_of_a_split_is_folded(run, operators):
    parts = [
        helper.make_node("Split", ["steps"], ["low", "high"], name="halves", num_outputs=2),
        helper.make_node("Concat", ["high", "low"], ["grid"], axis=0, name="swap"),
    ]
    original = model(*parts, ADD)
    changed, entry = apply_graph_rewriter(original, fold_constants, TARGET)
    assert (operators(changed), entry.where) == (["Add"], ("halves", "swap"))
    assert run(changed, torch.zeros(4))[0].tolist() == [2, 3, 0, 1]
    onnx.checker.check_model(changed, full_check=True)
