"""The example of docs/evaluate.md runs."""

from __future__ import annotations

import re

from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs/evaluate.md"


def test_the_example_in_python_runs(poses, pose_annotations, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    exec(example, {"bundle": poses, "annotations": pose_annotations})
    assert capsys.readouterr().out.startswith("metric")
    assert list((tmp_path / "kept").rglob("*.jsonl"))


def test_the_page_names_every_option_and_metric():
    from compiler.cli.evaluate import OPTIONS
    from compiler.evaluation.metric_selection import METRICS

    text = PAGE.read_text("utf-8")
    for name in OPTIONS:
        assert f"`{name.rstrip('.')}" in text, name
    for name in METRICS:
        assert f"`{name}`" in text, name
