"""The verb `evaluate`: a table on standard output, and everything else where it is asked for."""

from __future__ import annotations

import json

import pytest

from compiler.cli.evaluate import OPTIONS
from compiler.cli.verbs import VERBS
from compiler.errors import CompileError, UsageError
from tests.cli.running import run_verb
from tests.evaluation.conftest import images, pose_annotations, poses  # noqa: F401 - fixtures


def test_a_table_is_printed_and_all_numbers_saved(poses, pose_annotations, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "numbers.json"
    words = f"dataset={pose_annotations}", f"output={tmp_path / 'kept'}", f"out={out}", "metric.score_mode=keypoint"
    assert run_verb("evaluate", str(poses), *words) == 0
    printed = capsys.readouterr()
    title, header, ap, *_ = printed.out.splitlines()
    assert title == f"{pose_annotations}, 3 files"
    assert header.split() == ["metric", "onnxruntime", "fp32"]
    assert ap.split() == ["coco/AP", "1.0000"]
    assert "results" in printed.err
    saved = json.loads(out.read_text())
    assert saved["metrics"]["CocoKeypoints"]["score_mode"] == "keypoint"
    assert saved["columns"][0]["numbers"]["coco/AP"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "evaluate takes a data set"),
        (("dataset=a.json", "limit=0"), "0 is no value of limit"),
        (("dataset=a.json", "reference=yes"), "yes is no value of reference"),
        (("dataset=a.json", "show_score_thr=7"), "7 is no value of show_score_thr"),
        (("dataset=a.json", "checkpoint=a.pth"), "a bundle has its weights in it"),
        (("dataset=a.json", "worst=3"), "worst= says which pictures are drawn"),
        (("dataset=a.json", "workers=many"), "many is no value of workers"),
        (("dataset=a.json", "metrics=coco"), "evaluate takes no option 'metrics'"),
        (("dataset=a.json", "limits.megapixels=-1"), "megapixels"),
    ],
)
def test_what_it_cannot_take_is_said_as_what_it_is(poses, words, said):  # noqa: F811
    with pytest.raises(UsageError, match=said) as caught:
        run_verb("evaluate", str(poses), *words)
    assert caught.value.exit_code == 2


def test_what_is_no_bundle_is_told(tmp_path):
    with pytest.raises(CompileError, match="is not a bundle") as caught:
        run_verb("evaluate", str(tmp_path), "dataset=coco")
    assert caught.value.exit_code == 1


def test_the_help_names_every_option():
    page = VERBS["evaluate"].page()
    for spelling, _ in OPTIONS.values():
        assert spelling in page
