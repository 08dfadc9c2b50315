import numpy as np
import pytest
import torch
from torch import nn

from rewriters import Target
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.gather_whole_rows import gather_whole_rows

TARGET = Target("onnxruntime")


class BestRows(nn.Module):
    """The rows whose first number is the largest, or that part of them that the test says."""

    def __init__(self, width=5, axis=1):
        super().__init__()
        self.width = width
        self.axis = axis

    def forward(self, x):
        first = x.flatten(2)[:, :, 0]
        index = first.topk(2).indices.reshape(x.shape[0], 2, *(1 for _ in x.shape[2:]))
        return x.gather(self.axis, index.expand(-1, -1, self.width, *x.shape[3:]))


@pytest.mark.parametrize("shape", [(2, 7, 5), (2, 7, 5, 3)], ids=["rows of numbers", "rows of points"])
def test_rows_are_gathered_as_a_whole(export, run, operators, shape):
    model = export(BestRows(), torch.randn(shape))
    changed, entry = apply_graph_rewriter(model, gather_whole_rows, TARGET)
    assert (entry.status, entry.times) == ("fired", 1)
    assert "GatherElements" in operators(model)
    assert "GatherND" in operators(changed)
    assert not {"GatherElements", "Expand"} & set(operators(changed))
    x = torch.randn(3, *shape[1:])
    assert np.array_equal(run(changed, x)[0], run(model, x)[0])


@pytest.mark.parametrize("network", [BestRows(width=4), BestRows(axis=2)], ids=["part of a row", "other axis"])
def test_what_are_not_rows_stays(export, network):
    model = export(network, torch.randn(2, 7, 5))
    same, entry = apply_graph_rewriter(model, gather_whole_rows, TARGET)
    assert same is model
    assert (entry.status, entry.reason) == ("skipped", "pattern not found")
