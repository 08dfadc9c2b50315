"""Rewriters from another package, held to their contracts on every run."""

from __future__ import annotations

import json
import sys

import pytest

from compiler.errors import CompileError, ExitCode
from tests.compiling import compile_here

MODEL = ("model=rtmpose-t", "shape=static", "export.exporter=torchscript")

BREAKS_ITS_PROMISE = '''
import numpy as np
from rewriters import Contract, graph_rewriter

@graph_rewriter(contract=Contract.exact)
def nudge(call, graph):
    """Claims to change nothing."""
    weight = next(node for node in graph.nodes if node.op == "MatMul").inputs[1]
    weight.values = weight.values * np.float32(1.001)
    return [weight.name]
'''

LOSSY = '''
import torch
from rewriters import Contract, function_rewriter

@function_rewriter(torch.nn.functional.silu, contract=Contract.lossy("SiLU is replaced by its hard approximation"))
def hard_silu(call, input, inplace=False):
    """Hardswish is cheaper than SiLU where there is no exponential."""
    return torch.nn.functional.hardswish(input)
'''

RAISES = '''
from rewriters import Contract, graph_rewriter

@graph_rewriter(contract=Contract.exact)
def stumbles(call, graph):
    """Fails."""
    return graph.nodes[10**6]
'''


@pytest.fixture
def install(command_line):
    """Install a package with rewriters, and return the environment that finds it."""

    def install_package(source: str) -> dict[str, str]:
        site = command_line.folder / "site"
        information = site / "own_rewriters-1.0.dist-info"
        information.mkdir(parents=True)
        (site / "own_rewriters.py").write_text(source)
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: own-rewriters\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text("[deploy_compiler.rewriters]\nown = own_rewriters\n")
        return {"PYTHONPATH": str(site)}

    return install_package


@pytest.fixture
def install_here(install, monkeypatch):
    """Install a package with rewriters for this process, which is quicker than another."""

    def install_package(source: str) -> None:
        monkeypatch.syspath_prepend(install(source)["PYTHONPATH"])

    yield install_package
    sys.modules.pop("own_rewriters", None)


@pytest.fixture
def compile_model(tmp_path, shared_cache):
    return lambda *overrides: compile_here(tmp_path, shared_cache, *MODEL, *overrides)[0]


def report_of(bundle):
    return json.loads((bundle / "report.json").read_text())


def test_a_rewriter_that_breaks_its_contract_leaves_the_engine_unproven(command_line, install, shared_cache):
    run = command_line(*MODEL, f"cache={shared_cache}", **install(BREAKS_ITS_PROMISE))
    assert run.returncode == 3, run.stdout + run.stderr
    assert "the rewriter nudge breaks its contract exact" in run.stdout
    assert "the first stage beyond its tolerance is 'after nudge'" in run.stdout
    (report,) = command_line.folder.glob("outputs/*/report.json")
    entry = next(entry for entry in report_of(report.parent)["ledger"] if entry["name"] == "nudge")
    assert entry["holds"] is False
    assert entry["max_absolute_error"] > 0


def test_what_breaks_its_contract_can_be_switched_off(install_here, compile_model):
    install_here(BREAKS_ITS_PROMISE)
    outcome = compile_model("rewriters.disable=[nudge]")
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    entry = next(entry for entry in report_of(outcome.bundle)["ledger"] if entry["name"] == "nudge")
    assert entry["status"] == "skipped"


def test_a_lossy_rewriter_moves_the_reference_and_shows_its_loss(install_here, compile_model):
    install_here(LOSSY)
    allowed = ("verify.decoded_tolerance=1000", "verify.reduced_typical=1", "verify.reduced_cosine=0.9")
    outcome = compile_model("rewriters.require=[hard_silu]", *allowed)
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    report = report_of(outcome.bundle)
    rewritten, program, *_ = report["proofs"]
    assert rewritten["lossy"]
    assert max(row["relative_error"] for row in rewritten["comparisons"]) > 1e-2
    assert program["reference"] == "rewritten network"
    assert max(row["relative_error"] for row in program["comparisons"]) < 1e-4
    entry = next(entry for entry in report["ledger"] if entry["name"] == "hard_silu")
    assert entry["times"] > 10
    assert entry["contract"].startswith("lossy")
    assert entry["max_absolute_error"] > 0


def test_a_lossy_rewriter_is_held_to_the_decoded_tolerance(install_here, compile_model):
    install_here(LOSSY)
    outcome = compile_model("verify.decoded_tolerance=0.01")
    assert outcome.exit_code == ExitCode.NOT_PROVEN
    assert "the first stage beyond its tolerance is 'rewritten network'" in outcome.problem


def test_a_rewriter_that_raises_is_named(install_here, compile_model):
    install_here(RAISES)
    with pytest.raises(CompileError, match="the graph rewriter stumbles failed") as caught:
        compile_model()
    assert "own_rewriters" in str(caught.value)
    assert caught.value.exit_code == ExitCode.FAILED


def test_a_plug_in_that_cannot_be_imported_is_named(command_line, install):
    run = command_line(*MODEL, **install("import no_such_library"))
    assert run.returncode == 2
    assert "own-rewriters" in run.stderr
    assert "no_such_library" in run.stderr
