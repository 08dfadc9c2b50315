import numpy as np
import pytest
import torch
from torch import nn

from rewriters import Target
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.rejoin_splits import rejoin_splits

TARGET = Target("onnxruntime")


class Rejoined(nn.Module):
    """Splits along the second axis, and joins what the test says, along the axis that it says."""

    def __init__(self, choose=lambda low, high: [low, high], axis=1):
        super().__init__()
        self.choose = choose
        self.axis = axis

    def forward(self, x):
        parts = torch.split(torch.tanh(x), [2, 2], dim=1)
        return torch.sin(torch.cat(self.choose(*parts), dim=self.axis)), parts[0].amax(dim=1)


OTHERS = {
    "swapped": Rejoined(lambda low, high: [high, low]),
    "a part twice": Rejoined(lambda low, high: [low, low]),
    "a part changed": Rejoined(lambda low, high: [low, torch.cos(high)]),
    "along another axis": Rejoined(axis=0),
}


@pytest.fixture(scope="module")
def models(export_each):
    """All networks of this file, exported together. Not to be changed."""
    return export_each({name: (network, (2, 4)) for name, network in {"whole": Rejoined(), **OTHERS}.items()})


def test_all_parts_in_order_are_the_whole(models, run, operators):
    changed, entry = apply_graph_rewriter(models["whole"], rejoin_splits, TARGET)
    assert (entry.status, entry.times) == ("fired", 1)
    assert "Concat" in operators(models["whole"])
    assert "Concat" not in operators(changed)
    # One part is needed by itself too.
    assert "Split" in operators(changed)
    x = torch.randn(3, 4)
    for before, after in zip(run(models["whole"], x), run(changed, x), strict=True):
        assert np.array_equal(before, after)


@pytest.mark.parametrize("name", OTHERS)
def test_anything_else_stays(models, name):
    same, entry = apply_graph_rewriter(models[name], rejoin_splits, TARGET)
    assert same is models[name]
    assert (entry.status, entry.reason) == ("skipped", "pattern not found")
