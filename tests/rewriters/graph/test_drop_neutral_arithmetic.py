import numpy as np
import pytest
import torch
from torch import nn

from rewriters import Target
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.drop_neutral_arithmetic import drop_neutral_arithmetic

TARGET = Target("onnxruntime")


class Does(nn.Module):
    """A tangent, what the test says with a constant, and a sine."""

    def __init__(self, function, constant):
        super().__init__()
        self.function = function
        self.register_buffer("constant", constant)

    def forward(self, x):
        return torch.sin(self.function(torch.tanh(x), self.constant))


@pytest.mark.parametrize(
    ("function", "constant"),
    [
        (torch.add, torch.zeros(4)),
        (lambda x, zeros: zeros + x, torch.zeros(4)),
        (torch.sub, torch.zeros(4)),
        (torch.mul, torch.ones(4)),
        (torch.div, torch.ones(3, 1)),
    ],
    ids=["add", "added to", "sub", "mul", "div"],
)
def test_arithmetic_that_changes_nothing_goes(export, run, operators, function, constant):
    model = export(Does(function, constant), torch.randn(2, 3, 4))
    changed, entry = apply_graph_rewriter(model, drop_neutral_arithmetic, TARGET)
    assert operators(changed) == ["Tanh", "Sin"]
    assert (entry.status, entry.times) == ("fired", 1)
    x = torch.randn(5, 3, 4)
    assert np.array_equal(run(changed, x)[0], run(model, x)[0])


@pytest.mark.parametrize(
    ("function", "constant"),
    [
        (torch.add, torch.tensor([0.0, 0, 0, 1e-3])),
        (torch.mul, torch.zeros(4)),
        (lambda x, zeros: zeros - x, torch.zeros(4)),
        (lambda x, ones: ones / x, torch.ones(4)),
        (torch.add, torch.zeros(6, 1, 1, 1)),
    ],
    ids=["one is not zero", "mul by zero", "zero minus", "one over", "spread over more"],
)
def test_arithmetic_that_does_something_stays(export, function, constant):
    model = export(Does(function, constant), torch.randn(2, 3, 4))
    same, entry = apply_graph_rewriter(model, drop_neutral_arithmetic, TARGET)
    assert same is model
    assert (entry.status, entry.reason) == ("skipped", "pattern not found")
