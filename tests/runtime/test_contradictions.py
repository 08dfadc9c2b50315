"""A bundle whose files do not fit each other, or hold what they never held, ends in one message that names it."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from compiler import runtime
from compiler.errors import CompileError, ExitCode
from compiler.report import Report
from tests.bundles import change_json, lock_again, small_bundle

PICTURE = np.full((48, 64, 3), 90, np.uint8)


@pytest.fixture
def objects(tmp_path):
    return small_bundle(tmp_path / "objects", "objects")


def with_processing(bundle, **values):
    """Set keys of the task in a bundle's config."""
    config = yaml.safe_load((bundle / "config.yaml").read_text())
    config["model"]["processing"].update(values)
    (bundle / "config.yaml").write_text(yaml.safe_dump(config))
    lock_again(bundle)
    return bundle


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"pad_value": 2**70}, "must be less than"),
        ({"score_threshold": 10**350}, "must be less than"),
        ({"pad_value": "x"}, "whole number"),
        ({"to_rgb": 2**70}, "true or false"),
        ({"nothing": 1}, "there is no key"),
    ],
)
def test_a_task_that_a_config_describes_wrongly_is_the_files_fault(objects, values, said):
    with pytest.raises(CompileError, match="is not the config of a bundle") as caught:
        runtime.open(with_processing(objects, **values))
    assert said in caught.value.why
    assert caught.value.where == str(objects / "config.yaml")
    assert caught.value.exit_code == ExitCode.FAILED


def test_a_number_that_python_does_not_write_is_refused(objects):
    text = (with_processing(objects, pad_value=77777).joinpath("config.yaml")).read_text()
    (objects / "config.yaml").write_text(text.replace("77777", "0x" + "f" * 6000))
    lock_again(objects)
    with pytest.raises(CompileError, match="is not the config of a bundle"):
        runtime.open(objects)


@pytest.mark.parametrize("threads", ["x", 10**400, 0])
def test_a_backend_that_a_sidecar_describes_wrongly_is_the_files_fault(objects, threads):
    backend = runtime.open(objects).engine.backend
    change_json(objects / "engine.json", backend={**backend, "threads": threads})
    lock_again(objects)
    with pytest.raises(CompileError, match=r"engine\.json does not describe a backend") as caught:
        runtime.open(objects)
    assert "backend.threads" in caught.value.why
    assert caught.value.exit_code == ExitCode.FAILED


def test_a_config_that_the_engine_contradicts_ends_where_it_runs(objects):
    predictor = runtime.open(with_processing(objects, tail="native"))
    with pytest.raises(CompileError, match="the bundle contradicts itself") as caught:
        predictor(PICTURE)
    assert caught.value.where == str(objects)


def test_what_is_wrong_with_the_input_is_not_the_bundles_fault(objects):
    with pytest.raises(CompileError) as caught:
        runtime.open(objects)(np.zeros((3, 3)))
    assert "contradicts" not in caught.value.what


def first(report, key, **values):
    """The list of a report with keys of its first item set."""
    item, *others = report[key]
    return {key: [{**item, **values}, *others]}


@pytest.mark.parametrize(
    "changed",
    [
        lambda report: {"unproven": 5},
        lambda report: {"versions": 5},
        lambda report: {"versions": {"torch": 2}},
        lambda report: {"config": 5},
        lambda report: {"model": ["a"]},
        lambda report: {"engine_bytes": True},
        lambda report: {"reduced": {"precision": "fp16", "changed": 1, "nodes": 1, "kept": [1]}},
        lambda report: {"reduced": {"precision": "fp16", "changed": "x", "nodes": 1, "kept": []}},
        lambda report: {"reduced": {"precision": "fp16", "changed": 1, "nodes": 1, "kept": [{}]}},
        lambda report: first(report, "stages", seconds="x"),
        lambda report: first(report, "ledger", where=[1]),
        lambda report: first(report, "ledger", status="odd"),
        lambda report: first(report, "ledger", times="[link=http://x]"),
        lambda report: first(report, "proofs", comparisons=[], within=False),
        lambda report: first(report, "proofs", decoded=[]),
        lambda report: first(report, "proofs", within="yes"),
    ],
)
def test_a_report_of_other_types_is_none(objects, changed):
    written = Report.load(objects).to_dict()
    change_json(objects / "report.json", **changed(written))
    with pytest.raises(CompileError, match=r"report\.json is not a report"):
        Report.load(objects)


def test_a_report_is_read_as_it_was_written(objects):
    written = Report.load(objects)
    reduced = {"precision": "fp16", "changed": 1, "nodes": 2, "kept": [{"node": "a", "operator": "Add", "why": "b"}]}
    change_json(objects / "report.json", **written.to_dict() | {"reduced": reduced})
    again = Report.load(objects)
    assert (again.proofs, again.ledger, again.stages) == (written.proofs, written.ledger, written.stages)
    assert again.reduced is not None
    assert again.reduced.to_dict() == reduced
