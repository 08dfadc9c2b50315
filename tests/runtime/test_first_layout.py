"""Bundles that were compiled when classes, keys and sidecars were laid out another way: they open and predict the same.

Those in `tests/data/first_layout` were written by that version, with what it predicted on the sample of each task.
"""

import json
from pathlib import Path

import pytest

from compiler import runtime
from compiler.artifact import Engine
from compiler.backends import backend_of
from compiler.errors import CompileError, ExitCode
from compiler.pipeline import build_bundle
from compiler.report import Report

BUNDLES = Path(__file__).parents[1] / "data" / "first_layout"
OPENED = ("arrays", "objects", "pose", "reader", "text")


def assert_equal(found, expected):
    """Compare what JSON holds; numbers to what another processor may round."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_equal(found[key], expected[key])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-3)
    else:
        assert found == expected


@pytest.mark.parametrize("name", OPENED)
def test_a_bundle_predicts_what_it_did(name):
    predictor = runtime.open(BUNDLES / name)
    results = predictor(predictor.task.sample_source())
    found = [{key: value for key, value in one.to_dict().items() if key != "names"} for one in results]
    assert_equal(json.loads(json.dumps(found)), json.loads((BUNDLES / name / "predicted.json").read_text()))


@pytest.mark.parametrize("name", [*OPENED, "tensorrt"])
def test_its_report_and_its_engine_are_read(name):
    report, engine = Report.load(BUNDLES / name), Engine.load(BUNDLES / name)
    assert report.proofs
    assert report.ledger
    assert (engine.size is None) == (name == "tensorrt")
    assert backend_of(engine).name == ("tensorrt" if name == "tensorrt" else "onnxruntime")


def test_its_engine_is_not_built_where_it_cannot_be(no_tensorrt):
    with pytest.raises(CompileError, match="tensorrt cannot build an engine here"):
        build_bundle(BUNDLES / "tensorrt", trust_changes=True)  # its pictures and its log are not kept here


def test_the_command_line_explains_it(command_line):
    run = command_line("explain", str(BUNDLES / "pose"))
    assert run.returncode == ExitCode.PROVEN, run.stderr
    assert "nearest_to_bilinear" in run.stdout


@pytest.fixture
def no_tensorrt(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
