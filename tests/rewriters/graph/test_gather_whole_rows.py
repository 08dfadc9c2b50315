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


ROWS = {"rows of numbers": (BestRows(), (2, 7, 5)), "rows of points": (BestRows(), (2, 7, 5, 3))}
NO_ROWS = {"part of a row": (BestRows(width=4), (2, 7, 5)), "other axis": (BestRows(axis=2), (2, 5, 5))}


@pytest.fixture(scope="module")
def models(export_each):
    """All networks of this file, exported together. Not to be changed."""
    return export_each({**ROWS, **NO_ROWS})


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_gathered_as_a_whole(models, run, operators, name):
    model = models[name]
    changed, entry = apply_graph_rewriter(model, gather_whole_rows, TARGET)
    assert (entry.status, entry.times) == ("fired", 1)
    assert "GatherElements" in operators(model)
    assert "GatherND" in operators(changed)
    assert not {"GatherElements", "Expand"} & set(operators(changed))
    x = torch.randn(3, *ROWS[name][1][1:])
    assert np.array_equal(run(changed, x)[0], run(model, x)[0])


@pytest.mark.parametrize("name", NO_ROWS)
def test_what_are_not_rows_stays(models, name):
    same, entry = apply_graph_rewriter(models[name], gather_whole_rows, TARGET)
    assert same is models[name]
    assert (entry.status, entry.reason) == ("skipped", "pattern not found")
