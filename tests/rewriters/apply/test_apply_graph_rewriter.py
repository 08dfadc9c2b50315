import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
import torch
from torch import nn

from rewriters import Contract, RewriterError, Target, graph_rewriter, with_measurement
from rewriters.apply import apply_graph_rewriter

TARGET = Target("onnxruntime")


class TwoPorts(nn.Module):
    def forward(self, b, a):
        return torch.relu(b) + a, torch.relu(torch.sigmoid(a))


@pytest.fixture(scope="module")
def model(export):
    """Not to be changed: no rewriter does, which a test below holds."""
    model = export(TwoPorts(), torch.randn(2, 3), torch.randn(2, 3))
    model.metadata_props.add(key="author", value="somebody")
    return model


@graph_rewriter(contract=Contract.exact)
def drop_relu_after_sigmoid(call, graph):
    """A sigmoid is never negative, so a ReLU after it does nothing."""
    places = []
    for sigmoid in [node for node in graph.nodes if node.op == "Sigmoid"]:
        result = sigmoid.outputs[0]
        if [user.op for user in result.outputs] != ["Relu"] or result in graph.outputs:
            continue
        relu = sigmoid.o()
        sigmoid.outputs = [relu.outputs.pop()]
        places.append(relu.name)
    return places


def rewriter_of(change):
    def body(call, graph):
        """Does what the test says."""
        return change(call, graph)

    return graph_rewriter(contract=Contract.exact)(body)


def test_the_graph_changes_and_all_that_a_model_says_about_itself_stays(model, run):
    changed, entry = apply_graph_rewriter(model, drop_relu_after_sigmoid, TARGET)
    assert (entry.status, entry.times) == ("fired", 1)
    assert entry.where[0] in {node.name for node in model.graph.node}
    assert len(changed.graph.node) == len(model.graph.node) - 1
    for part in ("ir_version", "opset_import", "metadata_props", "producer_name"):
        assert getattr(changed, part) == getattr(model, part)
    for port in ("input", "output"):
        before, after = getattr(model.graph, port), getattr(changed.graph, port)
        assert [(value.name, value.type) for value in after] == [(value.name, value.type) for value in before]
    inputs = (torch.randn(5, 3), torch.randn(5, 3))
    for before, after in zip(run(model, *inputs), run(changed, *inputs), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda call, graph: [], "pattern not found"),
        (lambda call, graph: call.skip(f"not for {call.target.backend}"), "not for onnxruntime"),
    ],
)
def test_a_model_that_is_skipped_comes_back_as_it_was(model, change, reason):
    same, entry = apply_graph_rewriter(model, rewriter_of(change), TARGET)
    assert same is model
    assert (entry.status, entry.reason) == ("skipped", reason)


def unknown_operator(call, graph):
    graph.nodes[0].op = "NoSuchOperator"
    return ["first"]


def wrong_shape(call, graph):
    graph.outputs[0].inputs[0].inputs[0] = gs.Constant("wide", np.zeros((2, 7), np.float32))
    return ["first"]


def renamed_input(call, graph):
    graph.inputs[0].name = "renamed"
    return ["first"]


def swapped_outputs(call, graph):
    graph.outputs.reverse()
    return ["first"]


def crash(call, graph):
    raise KeyError("no such node")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (unknown_operator, "made an invalid model"),
        (wrong_shape, "made an invalid model"),
        (renamed_input, "changed the inputs of the graph"),
        (swapped_outputs, "changed the outputs of the graph"),
        (crash, "KeyError: 'no such node'"),
        (lambda call, graph: ["a", 1], "neither a list of node names"),
    ],
)
def test_a_rewriter_that_breaks_the_model_is_an_error_that_names_it_and_its_file(model, change, message):
    with pytest.raises(RewriterError, match=rf"body.*test_apply_graph_rewriter\.py:\d+.*{message}"):
        apply_graph_rewriter(model, rewriter_of(change), TARGET)


def test_the_model_given_is_never_changed(model):
    before = onnx.ModelProto.FromString(model.SerializeToString())
    apply_graph_rewriter(model, drop_relu_after_sigmoid, TARGET)
    assert model == before


def test_a_wrong_rewriter_is_caught_once_its_effect_is_measured(model, run):
    def to_sigmoid(call, graph):
        graph.nodes[0].op = "Sigmoid"
        return [graph.nodes[0].name]

    wrong = rewriter_of(to_sigmoid)
    changed, entry = apply_graph_rewriter(model, wrong, TARGET)
    assert entry.holds is None
    inputs = (torch.randn(2, 3), torch.randn(2, 3))
    error = np.abs(run(model, *inputs)[0] - run(changed, *inputs)[0]).max()
    assert with_measurement(entry, wrong.contract, float(error)).holds is False
