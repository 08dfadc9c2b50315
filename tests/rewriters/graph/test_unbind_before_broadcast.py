import numpy as np
import pytest
import torch
from torch import nn

from rewriters import Target
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.unbind_before_broadcast import unbind_before_broadcast

TARGET = Target("onnxruntime")


class QueriesAndKeys(nn.Module):
    """The gated attention unit's way from one projection to queries and keys."""

    def __init__(self, shape=(2, 8), axis=2, unbound=torch.unbind):
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(shape))
        self.beta = nn.Parameter(torch.rand(shape))
        self.axis = axis
        self.unbound = unbound

    def forward(self, x):
        return self.unbound(x.unsqueeze(self.axis) * self.gamma + self.beta, self.axis)


def assert_equal_outputs(run, model, changed, input):
    for before, after in zip(run(model, input), run(changed, input), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((2, 8), 2), ((1, 1, 2, 8), 2), ((3, 1, 8), 1), ((2, 5, 1), -3), ((5, 8, 2), 3)],
)
def test_each_part_is_computed_by_itself(export, run, operators, shape, axis):
    model = export(QueriesAndKeys(shape, axis), torch.randn(2, 5, 8))
    changed, entry = apply_graph_rewriter(model, unbind_before_broadcast, TARGET)
    assert (entry.status, entry.times) == ("fired", 1)
    assert set(operators(changed)) == {"Mul", "Add"}
    assert len(changed.graph.node) == 2 * len(model.graph.output)
    assert_equal_outputs(run, model, changed, torch.randn(3, 5, 8))


def test_parts_taken_by_index_are_parts_too(export, run, operators):
    network = QueriesAndKeys(unbound=lambda x, axis: (x.select(axis, 1), x.select(axis, 0)))
    model = export(network, torch.randn(2, 5, 8))
    changed, _ = apply_graph_rewriter(model, unbind_before_broadcast, TARGET)
    assert set(operators(changed)) == {"Mul", "Add"}
    assert_equal_outputs(run, model, changed, torch.randn(3, 5, 8))


@pytest.mark.parametrize(
    "unbound",
    [
        lambda x, axis: x,
        lambda x, axis: (x.unbind(axis)[0], x.sum(axis)),
        lambda x, axis: torch.tanh(x).unbind(axis),
        lambda x, axis: x[:, :, 0:1],
    ],
    ids=["never unbound", "also used whole", "not arithmetic", "the axis stays"],
)
def test_a_stack_that_is_needed_stays(export, unbound):
    model = export(QueriesAndKeys(unbound=unbound), torch.randn(2, 5, 8))
    same, entry = apply_graph_rewriter(model, unbind_before_broadcast, TARGET)
    assert same is model
    assert (entry.status, entry.reason) == ("skipped", "pattern not found")


def test_a_constant_that_adds_a_dimension_stays(export):
    model = export(QueriesAndKeys((3, 1, 1, 2, 8), 2, lambda x, axis: x.unbind(3)), torch.randn(2, 5, 8))
    assert apply_graph_rewriter(model, unbind_before_broadcast, TARGET)[0] is model
