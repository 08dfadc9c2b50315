"""The report: the same facts for programs and for people, in files that need nothing else."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from compiler.artifact import finite
from compiler.config.plain_yaml import dump_yaml
from compiler.errors import CompileError
from compiler.events import StageFinished
from compiler.proof import Comparison, StageProof
from compiler.report import Reduced, Report, write_report
from compiler.report.numbers import error_text, seconds_text, size_text
from compiler.report.report import render
from rewriters import Entry


@pytest.fixture
def report(bundle):
    return Report.load(bundle)


def failing(error: float) -> StageProof:
    row = Comparison("4x256x192", "simcc_x", error, error, error, 0.5)
    return StageProof("engine (test)", "network", (row,), {"4x256x192": error}, within=False)


def test_report_json_is_read_back_as_it_was(bundle, report):
    written = json.loads((bundle / "report.json").read_text())
    assert json.loads(json.dumps(report.to_dict())) == written
    assert written["proven"]
    assert [stage["stage"] for stage in written["stages"]] == [
        "load",
        "export",
        "rewrite",
        "build",
        "reference",
        "compare",
        "verify",
    ]
    row = written["proofs"][0]["comparisons"][0]
    fields = {"max_absolute_error", "mean_absolute_error", "relative_error", "cosine_similarity"}
    assert fields < set(row)
    assert {row["input"] for proof in written["proofs"] for row in proof["comparisons"]} == {"1x256x192", "4x256x192"}


def test_numbers_that_json_does_not_know_survive(tmp_path, report):
    for picture in report.pictures:
        cv2.imwrite(str(tmp_path / picture), np.zeros((4, 4, 3), np.uint8))
    broken = replace(report, proofs=(failing(math.inf), failing(math.nan)))
    write_report(tmp_path, broken)
    strict = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    assert strict["proofs"][0]["comparisons"][0]["max_absolute_error"] == "inf"
    again = Report.load(tmp_path)
    assert math.isinf(again.proofs[0].worst.relative_error)
    assert math.isnan(again.proofs[1].worst.relative_error)


@pytest.mark.parametrize("content", ["{}", "[]", '{"model": "rtmpose", "more": 1}', '{"version": 3}'])
def test_a_report_of_another_version_is_refused(tmp_path, content):
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(CompileError, match="not a report of this version"):
        Report.load(tmp_path)


def test_the_problem_names_the_first_stage_and_every_broken_contract(report):
    assert report.problem == ""
    broken = replace(report.ledger[0], holds=False, max_absolute_error=0.5, contract="exact", name="breaker")
    problem = replace(report, proofs=(*report.proofs, failing(0.25)), ledger=(*report.ledger, broken)).problem
    assert "'engine (test)': for the input 4x256x192 its simcc_x is 2.5e-01 σ from the network" in problem
    assert "cosine 0.5000 at worst, 2.5e-01 px after decoding" in problem
    assert "breaker breaks its contract exact" in problem


def test_what_was_not_run_is_a_problem_behind_those_that_were_found(report):
    reason = "no engine was built: there is no GPU"
    assert replace(report, unproven=reason).problem == reason
    both = replace(report, unproven=reason, proofs=(failing(0.25),)).problem
    assert both.startswith("the first stage beyond its tolerance")
    assert both.endswith(f"; {reason}")


def test_an_engine_that_is_still_to_be_built_and_a_lower_precision_are_read_back(tmp_path, report):
    for picture in report.pictures:
        cv2.imwrite(str(tmp_path / picture), np.zeros((4, 4, 3), np.uint8))
    excluded = {"node": "/head/fc", "operator": "Gemm", "why": "keep_fp32 names <it>"}
    reduced = Reduced("int8", 212, 238, (excluded,))
    written = replace(report, reduced=reduced, engine_bytes=None, unproven="no engine was built: there is no GPU")
    write_report(tmp_path, written)
    assert Report.load(tmp_path) == written
    assert json.loads((tmp_path / "report.json").read_text())["reduced"]["kept"] == [excluded]
    page = _Page()
    page.feed((tmp_path / "report.html").read_text())
    text = " ".join(page.text.split())
    for expected in ("212 of 238 nodes are in int8", "1 stay in fp32", "/head/fc", "keep_fp32 names <it>"):
        assert expected in text
    assert "no engine was built: there is no GPU" in text


def test_the_page_says_the_verdict_and_the_config_in_their_own_letters(tmp_path, report):
    for picture in report.pictures:
        cv2.imwrite(str(tmp_path / picture), np.zeros((4, 4, 3), np.uint8))
    lossy = replace(report.proofs[0], lossy=True)
    config = {**report.config, "checkpoint": "1e4", "image": "A-B"}
    page = _Page()
    page.feed(render(tmp_path, replace(report, proofs=(lossy, *report.proofs[1:]), unit="1 - IoU", config=config)))
    verdict = next(line for line in page.text.splitlines() if line.startswith("Proven"))
    assert "1 - IoU" in verdict
    assert dump_yaml(config).strip() in page.text


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.sources, self.scripts, self.text = [], 0, ""

    def handle_starttag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        self.scripts += tag == "script"

    def handle_data(self, data):
        self.text += data


def test_report_html_is_one_file_with_everything_in_it(bundle, report):
    page = _Page()
    page.feed((bundle / "report.html").read_text())
    assert len(page.sources) == 2
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert page.scripts == 0
    assert not re.search(r"url\(|@import|https?://(?!download\.openmmlab)", page.text)
    expected = [report.name, "output_pytorch.jpg", "output_onnxruntime.jpg", "Proven", "spp_to_cascaded_pooling"]
    expected += [proof.stage for proof in report.proofs] + [stage.detail for stage in report.stages]
    expected += [report.versions["torch"], "widen_factor: 0.75"]
    assert all(text in page.text for text in expected)


def test_what_comes_from_a_user_is_escaped(tmp_path, report):
    for picture in report.pictures:
        cv2.imwrite(str(tmp_path / picture), np.zeros((4, 4, 3), np.uint8))
    entry = Entry("x", "graph", "skipped", 0, (), "<script>alert(1)</script>", "exact", "<b>why</b>")
    stage = StageFinished("load", 1.0, False, "<img src=x onerror=alert(1)>")
    write_report(tmp_path, replace(report, ledger=(entry,), stages=(stage,), source="<i>.jpg"))
    page = _Page()
    page.feed((tmp_path / "report.html").read_text())
    assert page.scripts == 0
    assert len(page.sources) == 2
    assert "<script>alert(1)</script>" in page.text


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (seconds_text(0.0123), "12 ms"),
        (seconds_text(12.34), "12.3 s"),
        (error_text(0.0), "0"),
        (error_text(1.23e-6), "1.2e-06"),
        (size_text(10), "10 B"),
        (size_text(54_349_280), "51.8 MiB"),
        (size_text(3 * 1024**3), "3.0 GiB"),
        (finite({"a": [math.nan, 1.0, (math.inf,)]}), {"a": ["nan", 1.0, ["inf"]]}),
    ],
)
def test_numbers_are_written_for_readers(written, expected):
    assert written == expected
