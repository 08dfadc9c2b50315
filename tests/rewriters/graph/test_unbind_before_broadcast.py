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


STACKS = [((2, 8), 2), ((1, 1, 2, 8), 2), ((3, 1, 8), 1), ((2, 5, 1), -3), ((5, 8, 2), 3)]
NEEDED = {
    "never unbound": lambda x, axis: x,
    "also used whole": lambda x, axis: (x.unbind(axis)[0], x.sum(axis)),
    "not arithmetic": lambda x, axis: torch.tanh(x).unbind(axis),
    "the axis stays": lambda x, axis: x[:, :, 0:1],
}


@pytest.fixture(scope="module")
def models(export_each):
    """All networks of this file, exported together. Not to be changed."""
    networks = {
        **{str(stack): QueriesAndKeys(*stack) for stack in STACKS},
        **{name: QueriesAndKeys(unbound=unbound) for name, unbound in NEEDED.items()},
        "by index": QueriesAndKeys(unbound=lambda x, axis: (x.select(axis, 1), x.select(axis, 0))),
        "another dimension": QueriesAndKeys((3, 1, 1, 2, 8), 2, lambda x, axis: x.unbind(3)),
    }
    return export_each({name: (network, (2, 5, 8)) for name, network in networks.items()})


@pytest.mark.parametrize("name", [str(stack) for stack in STACKS])
def test_each_part_is_computed_by_itself(models, run, operators, name):
    model = models[name]
    changed, entry = apply_graph_rewriter(model, unbind_before_broadcast, TARGET)
    assert (entry.status, entry.times) == ("fired", 1)
    assert set(operators(changed)) == {"Mul", "Add"}
    assert len(changed.graph.node) == 2 * len(model.graph.output)
    assert_equal_outputs(run, model, changed, torch.randn(3, 5, 8))


def test_parts_taken_by_index_are_parts_too(models, run, operators):
    changed, _ = apply_graph_rewriter(models["by index"], unbind_before_broadcast, TARGET)
    assert set(operators(changed)) == {"Mul", "Add"}
    assert_equal_outputs(run, models["by index"], changed, torch.randn(3, 5, 8))


@pytest.mark.parametrize("name", NEEDED)
def test_a_stack_that_is_needed_stays(models, name):
    same, entry = apply_graph_rewriter(models[name], unbind_before_broadcast, TARGET)
    assert same is models[name]
    assert (entry.status, entry.reason) == ("skipped", "pattern not found")


def test_a_constant_that_adds_a_dimension_stays(models):
    model = models["another dimension"]
    assert apply_graph_rewriter(model, unbind_before_broadcast, TARGET)[0] is model
