"""A detector of text and a reader as one: what they read is what `predict` reads with them."""

from __future__ import annotations

import json

import pytest

from compiler.errors import CompileError
from compiler.evaluation import EvaluationOptions, evaluate
from compiler.runtime.text_spotting import open_spotter
from compiler.tasks.images import read_image, write_image
from tests.bundles import small_bundle


def test_two_bundles_that_read_are_measured_as_one(tmp_path, objects):
    finder, reader = (small_bundle(tmp_path / name, name) for name in ("text", "reader"))
    spotter = open_spotter(finder, reader)
    image = read_image(spotter.detector.task.sample_source())[:200, :300]
    write_image(tmp_path / "page.png", image)
    words = [one for one in spotter(tmp_path / "page.png") if one.detection_score >= 0.3]
    assert len(words) > 1
    instances = [{"polygon": one.polygon.ravel().tolist(), "text": one.text or "?", "ignore": False} for one in words]
    annotations = tmp_path / "textspotting_test.json"
    annotations.write_text(json.dumps({"data_list": [{"img_path": "page.png", "instances": instances}]}))
    options = EvaluationOptions(output=tmp_path / "kept", detector=finder, show_dir=tmp_path / "shown")
    (column,) = evaluate([reader], annotations, options).columns
    (kept,) = (json.loads(line)["results"] for line in column.results.read_text().splitlines()[1:])
    assert [(one["text"], one["detection_score"]) for one in kept] == [
        (one.text, one.detection_score) for one in spotter(tmp_path / "page.png")
    ]
    read = sum(1 for one in words if one.text) / len(words)
    assert column.numbers["icdar/recall"] == pytest.approx(read), "all words are found, and the same is read"
    assert len(column.pictures) == 1
    with pytest.raises(CompileError, match="two bundles read text only if the first finds it"):
        evaluate([reader], annotations, EvaluationOptions(output=tmp_path / "kept", detector=objects))
