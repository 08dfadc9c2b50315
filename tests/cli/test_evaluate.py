"""The verb `evaluate`: a table on standard output, and everything else where it is asked for."""

from __future__ import annotations

import json

import pytest

from compiler.artifact import installed_version
from compiler.cli.evaluate import OPTIONS, told_in_lines
from compiler.cli.verbs import VERBS
from compiler.errors import CompileError, UsageError
from tests.bundles import small_bundle
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
        (("dataset=a.json", "limit=0"), "'0' is no value of limit"),
        (("dataset=a.json", "reference=yes"), "'yes' is no value of reference"),
        (("dataset=a.json", "show_score_thr=7"), "'7' is no value of show_score_thr"),
        (("dataset=a.json", "score_threshold=7"), "'7' is no value of show_score_thr"),
        (("dataset=a.json", "score_threshold=0.5"), "show_score_thr= says what is drawn"),
        (("dataset=a.json", "picture=a", "show_dir=b"), "picture and show_dir are the same option"),
        (("dataset=a.json", "checkpoint=a.pth"), "a bundle has its weights in it"),
        (("dataset=a.json", "worst=3"), "worst= says what is drawn"),
        (("dataset=a.json", "workers=many"), "'many' is no value of workers"),
        (("dataset=a.json", "metrics=coco"), "evaluate takes no option 'metrics'"),
        (("dataset=a.json", "limits.megapixels=-1"), "megapixels"),
    ],
)
def test_what_it_cannot_take_is_said_as_what_it_is(poses, words, said):  # noqa: F811
    with pytest.raises(UsageError, match=said) as caught:
        run_verb("evaluate", str(poses), *words)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("people.json", "the file that would be written is one that is read"),
        ("other.json", "it holds no numbers of an evaluation"),
        ("{bundle}/report.json", "the file would lie in a bundle"),
        ("{bundle}/below/numbers.json", "the file would lie in a bundle"),
        ("folder", "there is a folder where the file would be"),
        ("other.json/numbers.json", "there cannot be such a file"),
    ],
)
def test_numbers_go_nowhere_where_something_is_lost(poses, tmp_path, monkeypatch, out, said):  # noqa: F811
    """It is said before anything is opened or read: there is no such data set."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("people.json", "other.json"):
        (tmp_path / name).write_text('{"images": []}')
    before = {path: path.read_bytes() for folder in (poses, tmp_path) for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(CompileError, match=said):
        run_verb("evaluate", str(poses), "dataset=people.json", f"out={out.format(bundle=poses)}")
    assert {path: path.read_bytes() for path in before} == before


def test_numbers_of_an_earlier_run_are_written_again(poses, pose_annotations, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "numbers.json"
    words = "evaluate", str(poses), f"dataset={pose_annotations}", f"output={tmp_path / 'kept'}", f"out={out}"
    assert run_verb(*words, "limit=1") == run_verb(*words, "limit=2") == 0
    saved = json.loads(out.read_text())
    assert saved["items"] == 2
    assert saved["version"] == installed_version("deploy-compiler")
    assert saved["columns"][0]["tools"]["onnxruntime"] == installed_version("onnxruntime")


def test_a_run_that_nobody_looks_at_tells_of_each_tenth(capsys):
    tell = told_in_lines()
    for done in range(201):
        tell("onnxruntime fp32", done, 200)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"onnxruntime fp32: {done} of 200" for done in range(20, 201, 20)]


def test_a_data_set_is_looked_for_before_engines_are_opened(tmp_path):
    bundle = small_bundle(tmp_path / "poses", "pose")
    (bundle / "end2end.onnx").write_bytes(b"no engine")
    with pytest.raises(UsageError, match="there is no data set 'cocoo'"):
        run_verb("evaluate", str(bundle), "dataset=cocoo")


def test_what_is_no_bundle_is_told(tmp_path):
    with pytest.raises(CompileError, match="is not a bundle") as caught:
        run_verb("evaluate", str(tmp_path), "dataset=coco")
    assert caught.value.exit_code == 1


def test_the_help_names_every_option():
    page = VERBS["evaluate"].page()
    for spelling, _ in OPTIONS.values():
        assert spelling in page
