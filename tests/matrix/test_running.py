"""Cells run one after the other, each in a process that may fail in its place; what has a result is not run again."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from compiler.proof import Comparison, StageProof
from tests.matrix import __main__ as command
from tests.matrix import child
from tests.matrix.attempt import judged, plain
from tests.matrix.child import Limits, run_cell, run_limited
from tests.matrix.grid import Cell
from tests.matrix.results import Attempt, Result, add_result, read_results

CELL = Cell("crnn", "openvino", "static", "fp32")
RESULT = Result(CELL, Attempt("proven", 1e-5, "σ", milliseconds=1.5, versions={"openvino": "2026.4"}), 12.3)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        ("pass", ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "its process was ended by SIGSEGV"),
        (
            "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 9))\nwhile True: pass",
            "it took more of the processor's time than it may",
        ),
        ("raise ValueError('a line')", "exit status 1: ValueError: a line"),
    ],
)
def test_however_a_process_ends_it_is_told_in_words(code: str, ended: str):
    assert run_limited(python(code), 60) == ended


def test_a_process_that_takes_too_long_is_ended_with_what_it_started(tmp_path: Path):
    file = tmp_path / "started"
    start = "import pathlib, subprocess, time; one = subprocess.Popen(['sleep', '600'])"
    assert run_limited(python(f"{start}; pathlib.Path({str(file)!r}).write_text(str(one.pid)); time.sleep(600)"), 2)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(file.read_text())).wait(60)


def test_a_cell_whose_process_dies_has_no_engine_and_says_how_it_died(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(child, "run_limited", lambda command, seconds: "its process was ended by SIGKILL")
    result = run_cell(CELL, tmp_path, Limits())
    assert (result.attempt.outcome, result.attempt.reason) == ("none", "its process was ended by SIGKILL")


def test_a_cell_whose_process_dies_while_it_is_timed_keeps_what_was_found(tmp_path: Path, monkeypatch):
    def die_late(words, seconds):
        answer = next(word for word in words if word.endswith("attempt.json"))
        Path(answer).write_text(json.dumps({"outcome": "proven", "error": 1e-6}))
        return "its process was ended by SIGKILL"

    monkeypatch.setattr(child, "run_limited", die_late)
    attempt = run_cell(CELL, tmp_path, Limits()).attempt
    assert (attempt.outcome, attempt.error, attempt.milliseconds) == ("proven", 1e-6, None)
    assert attempt.reason == "not timed: its process was ended by SIGKILL"


def test_results_are_added_and_the_last_of_a_cell_counts(tmp_path: Path):
    file = tmp_path / "results.jsonl"
    later = replace(RESULT, attempt=Attempt("none", reason="why | not"))
    other = replace(RESULT, cell=replace(CELL, shape="dynamic"))
    for result in (RESULT, other, later):
        add_result(result, file)
    assert read_results(file) == {CELL: later, other.cell: other}
    assert len(file.read_text().splitlines()) == 3
    assert read_results(tmp_path / "none.jsonl") == {}


def test_an_outcome_that_is_none_of_the_four_is_refused():
    with pytest.raises(ValueError, match="an outcome is one of"):
        Attempt("yes")


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """The cells that a command runs, without running them; none has a result yet."""
    cells = []

    def run(cell, folder, limits):
        cells.append(cell)
        child.bundle_folder(cell, folder).mkdir(exist_ok=True)
        return replace(RESULT, cell=cell)

    known = {}
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    monkeypatch.setattr(command, "run_cell", run)
    monkeypatch.setattr(command, "write_page", lambda: None)
    monkeypatch.setattr(command, "read_results", lambda: known)
    monkeypatch.setattr(command, "add_result", lambda result: known.update({result.cell: result}))
    return cells


def test_what_has_a_result_is_not_run_again_unless_that_is_asked_for(ran):
    words = ["--models", "crnn", "--backends", "onnxruntime"]
    command.main(words)
    assert len(ran) == 4
    command.main(words)
    assert len(ran) == 4
    command.main([*words, "--again"])
    assert len(ran) == 8


def test_what_a_cell_is_timed_beside_is_made_first_where_it_is_not_there(ran, tmp_path):
    command.main(["--models", "crnn", "--backends", "torchscript"])
    assert [(cell.backend, cell.shape) for cell in ran] == [
        ("onnxruntime", "static"),
        ("torchscript", "static"),
        ("onnxruntime", "dynamic"),
        ("torchscript", "dynamic"),
    ]
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["crnn-onnxruntime-fp32-dynamic", "crnn-onnxruntime-fp32-static"]


def test_no_cell_is_begun_after_the_minutes(ran):
    command.main(["--models", "crnn", "--minutes", "-1"])
    assert ran == []


def test_a_reason_is_a_line_and_names_no_folder_of_the_run(tmp_path: Path):
    said = f"no engine was built: no GPU. On the machine that is to run it: build {tmp_path}/bundle"
    assert plain(said, tmp_path) == "no engine was built: no GPU"
    assert plain(f"{tmp_path}/end2end.xml\n  is wrong", tmp_path) == "/end2end.xml is wrong"


def report(**values) -> SimpleNamespace:
    compared = Comparison("1x3", "y", 1e-3, 1e-3, 1e-3, 1.0)
    proof = StageProof("engine (ncnn)", "network", (compared,), {"1x3": 0.5}, values.pop("within", True))
    held = {"proofs": (proof,), "ledger": (), "unit": "px", "engine_bytes": 1, "problem": "", "unproven": ""}
    return SimpleNamespace(**{**held, **values})


def test_a_cell_is_proven_where_the_engine_ran_and_every_stage_is_within_its_tolerance(tmp_path: Path):
    found = judged(report(), tmp_path)
    assert found == Attempt("proven", 1e-3, "σ", 0.5, "px", "engine (ncnn)")


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ({"problem": "x", "unproven": "x"}, "built"),
        ({"problem": "x", "unproven": "x", "engine_bytes": None}, "none"),
        ({"problem": "y; x", "unproven": "x", "within": False}, "not proven"),
        ({"problem": "y", "within": False}, "not proven"),
        ({"problem": "y", "ledger": (SimpleNamespace(holds=False),)}, "not proven"),
    ],
)
def test_anything_else_is_no_yes(tmp_path: Path, values, outcome):
    found = judged(report(**values), tmp_path)
    assert (found.outcome, found.reason) == (outcome, values["problem"])
