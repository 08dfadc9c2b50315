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


NEUTRAL = {
    "add": (torch.add, torch.zeros(4)),
    "added to": (lambda x, zeros: zeros + x, torch.zeros(4)),
    "sub": (torch.sub, torch.zeros(4)),
    "mul": (torch.mul, torch.ones(4)),
    "div": (torch.div, torch.ones(3, 1)),
}
NOT_NEUTRAL = {
    "one is not zero": (torch.add, torch.tensor([0.0, 0, 0, 1e-3])),
    "mul by zero": (torch.mul, torch.zeros(4)),
    "zero minus": (lambda x, zeros: zeros - x, torch.zeros(4)),
    "one over": (lambda x, ones: ones / x, torch.ones(4)),
    "spread over more": (torch.add, torch.zeros(6, 1, 1, 1)),
}


@pytest.fixture(scope="module")
def models(export_each):
    """All networks of this file, exported together. Not to be changed."""
    return export_each({name: (Does(*does), (2, 3, 4)) for name, does in {**NEUTRAL, **NOT_NEUTRAL}.items()})


@pytest.mark.parametrize("name", NEUTRAL)
def test_arithmetic_that_changes_nothing_goes(models, run, operators, name):
    changed, entry = apply_graph_rewriter(models[name], drop_neutral_arithmetic, TARGET)
    assert operators(changed) == ["Tanh", "Sin"]
    assert (entry.status, entry.times) == ("fired", 1)
    x = torch.randn(5, 3, 4)
    assert np.array_equal(run(changed, x)[0], run(models[name], x)[0])


@pytest.mark.parametrize("name", NOT_NEUTRAL)
def test_arithmetic_that_does_something_stays(models, name):
    same, entry = apply_graph_rewriter(models[name], drop_neutral_arithmetic, TARGET)
    assert same is models[name]
    assert (entry.status, entry.reason) == ("skipped", "pattern not found")
