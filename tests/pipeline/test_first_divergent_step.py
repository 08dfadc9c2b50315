"""What is wrong at the largest input only is still found, and named by the step that it comes in with, although the
steps between the network and the engine are run where they cost least."""

from __future__ import annotations

import sys

import numpy as np
import onnx_graphsurgeon as gs
import pytest
import torch
from torch.nn import functional as F

from compiler.backends.onnxruntime import OnnxRuntime
from compiler.errors import ExitCode
from compiler.proof import first_failure
from compiler.report import Report
from compiler.stages import rewriters as stage_rewriters
from rewriters import Contract, function_rewriter, graph_rewriter
from tests.compiling import compile_here

NETWORK = """
from torch import nn
from torch.nn import functional as F

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)

    def forward(self, input):
        Small.runs.append(tuple(input.shape))
        return F.relu(self.stem(input)).flatten(1)

Small.runs = []

def build():
    return Small()
"""
ITEM = 4 * 4 * 4
"""Numbers of one item behind the convolution."""
BATCHES = ["1", "4"]


@function_rewriter(F.relu, contract=Contract.exact)
def wrong_rewriter(call, input, inplace=False):
    """Wrong on purpose, where there are more than three items."""
    excess = torch.ones_like(input).sum() - 3 * ITEM
    return torch.relu(input) + excess.clamp(min=0)


@graph_rewriter(contract=Contract.exact)
def wrong_graph(call, graph):
    """Wrong on purpose, where there are more than three items."""
    (output,) = graph.outputs
    inner = gs.Variable("right", output.dtype, output.shape)
    output.inputs[0].outputs = [inner]
    names = ("count", "number", "excess", "extra")
    count, number, excess, extra = (gs.Variable(name) for name in names)
    limit = gs.Constant("limit", np.array(3 * ITEM, np.float32))
    graph.nodes += [
        gs.Node("Size", inputs=[inner], outputs=[count]),
        gs.Node("Cast", inputs=[count], outputs=[number], attrs={"to": 1}),
        gs.Node("Sub", inputs=[number, limit], outputs=[excess]),
        gs.Node("Relu", inputs=[excess], outputs=[extra]),
        gs.Node("Add", inputs=[inner, extra], outputs=[output]),
    ]
    return ["the output"]


@pytest.fixture
def compiled(tmp_path, monkeypatch, shared_cache):
    """Compile the network with rewriters of the test's own beside the others; return how it ended, and the report."""
    (tmp_path / "network_of_the_steps.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    discover = stage_rewriters.discover

    def compile_with(*rewriters, cache=shared_cache):
        monkeypatch.setattr(stage_rewriters, "discover", lambda *packages: (*discover(*packages), *rewriters))
        outcome, _ = compile_here(
            tmp_path / "outputs",
            cache,
            "model=torch",
            "model.target=network_of_the_steps:build",
            "model.inputs.input=nx3x6x6",
        )
        return outcome, Report.load(outcome.bundle)

    yield compile_with
    sys.modules.pop("network_of_the_steps", None)


def proven_at(report: Report) -> dict[str, list[str]]:
    return {proof.stage: list(proof.bases) for proof in report.proofs}


def test_a_rewriter_of_the_network(compiled):
    outcome, report = compiled(wrong_rewriter)
    assert outcome.exit_code == ExitCode.NOT_PROVEN
    failure = first_failure(report.proofs)
    assert failure.stage == "rewritten network"
    assert all(fault.startswith("output of 4 ") or "4 is" in fault for fault in failure.faults), failure.faults
    assert set(map(tuple, proven_at(report).values())) == {tuple(BATCHES)}


def test_a_graph_rewriter(compiled):
    outcome, report = compiled(wrong_graph)
    assert outcome.exit_code == ExitCode.NOT_PROVEN
    assert first_failure(report.proofs).stage == "after wrong_graph"
    assert [proof.within for proof in report.proofs] == [True, True, False, False]
    assert "the first stage beyond its tolerance is 'after wrong_graph'" in outcome.problem


def test_an_engine(compiled, monkeypatch):
    open_to_prove = OnnxRuntime.open_to_prove

    class Wrong:
        def __init__(self, session):
            self.session = session

        def run(self, tensors):
            found = self.session.run(tensors)
            return {name: array + np.float32(len(array) > 3) for name, array in found.items()}

    monkeypatch.setattr(OnnxRuntime, "open_to_prove", lambda self, *given: Wrong(open_to_prove(self, *given)))
    outcome, report = compiled()
    assert outcome.exit_code == ExitCode.NOT_PROVEN
    assert first_failure(report.proofs).stage == "engine (onnxruntime)"
    assert proven_at(report)["program"] == BATCHES, "that it is right where the engine is wrong was looked at"


def test_where_nothing_is_wrong_only_the_engine_is_run_at_the_largest_input(compiled, tmp_path):
    outcome, report = compiled(cache=tmp_path / "cache")
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    *between, (engine, inputs) = proven_at(report).items()
    assert (engine, inputs) == ("engine (onnxruntime)", BATCHES)
    assert dict(between) == {"rewritten network": ["1"], "program": ["1"]}
    runs = sys.modules["network_of_the_steps"].Small.runs
    assert runs.count((4, 3, 6, 6)) == 1, "the original network; and nothing else of torch"
