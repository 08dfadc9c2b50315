"""What was found, in a file: read as it was written, and whole after a kill at any byte."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from compiler.datasets import Dataset
from compiler.errors import CompileError, UsageError
from compiler.evaluation.metric_selection import find_metrics
from compiler.evaluation.records import from_record, result_class, to_record
from compiler.evaluation.results_file import ResultsFile
from compiler.tasks.detection import Detection
from compiler.tasks.pose import Pose
from compiler.tasks.pose.bottomup import PersonPose
from compiler.tasks.text_detection import TextInstance
from compiler.tasks.text_recognition import Text
from compiler.tasks.voxel_detection import Detection3D

HEADER = {"bundle": "0123", "items": "4567"}


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


RESULTS = (
    Detection(floats(4), 0.1, 3, "cat", 1),
    Pose(floats(17, 2), floats(17), floats(4), ("nose", "tail")),
    PersonPose(floats(4), 0.3, floats(17, 2), floats(17), names=("nose",)),
    TextInstance(floats(9, 2), 0.7),
    Text("añ\u2028\n", 0.5, (0.25, 0.75), floats(4), 2),
    Text("", 0.0, (), floats(4)),
    Detection3D(floats(3), floats(3), 0.1, 0.2, 1, "Car", velocity=floats(2)),
    Detection3D(floats(3), floats(3), 0.1, 0.2, 1, "Car"),
)


@pytest.mark.parametrize("result", RESULTS, ids=lambda one: type(one).__name__)
def test_a_result_is_read_as_it_was_written_to_the_last_bit(result):
    again = from_record(type(result), json.loads(json.dumps(to_record(result))))
    for name, value in vars(result).items():
        read = getattr(again, name)
        assert type(read) is type(value)
        np.testing.assert_array_equal(read, value)
        if isinstance(value, np.ndarray):
            assert read.dtype == value.dtype


def test_what_is_no_number_is_kept_as_text_which_json_knows(tmp_path):
    results = ResultsFile.continued(tmp_path / "results.jsonl", Text, 1, HEADER)
    with results.appending() as appender:
        appender.add(0, "a.jpg", [Text("a", float("nan"), (0.5, float("inf")), np.float32([0, 1, np.nan, -np.inf]), 2)])
    assert b"NaN" not in results.path.read_bytes()
    assert b"Infinity" not in results.path.read_bytes()
    ((again,),) = results
    assert np.isnan(again.score)
    assert again.character_scores == (0.5, float("inf"))
    np.testing.assert_array_equal(again.box, np.float32([0, 1, np.nan, -np.inf]))
    assert again.box.dtype == np.float32


def written(path: Path, items: int = 3) -> ResultsFile:
    results = ResultsFile.continued(path, Detection, items, HEADER)
    with results.appending() as appender:
        for item in results.missing:
            appender.add(item, f"{item}.jpg", [Detection(floats(4), item / 10, item, "cat")] * item)
    return results


def test_results_are_read_in_the_order_of_the_items(tmp_path):
    results = ResultsFile.continued(tmp_path / "a.jsonl", Detection, 3, HEADER)
    assert results.missing == [0, 1, 2]
    with results.appending() as appender:
        for item in (2, 0, 1):
            appender.add(item, "x.jpg", [Detection(floats(4), 0.5, item, "cat")])
    assert [[one.label for one in found] for found in results] == [[0], [1], [2]]
    assert results[1][0].label == 1
    assert len(results) == 3
    with pytest.raises(IndexError):
        results[3]


def test_a_run_that_is_killed_at_any_byte_goes_on(tmp_path):
    path = tmp_path / "a.jsonl"
    written(path)
    whole = path.read_bytes()
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        results = ResultsFile.continued(path, Detection, 3, HEADER)
        assert len(results.missing) == 3 - max(whole[:end].count(b"\n") - 1, 0)
        written(path)
        assert path.read_bytes() == whole


def test_what_follows_a_damaged_line_is_made_again(tmp_path):
    path = tmp_path / "a.jsonl"
    written(path)
    header, first, second, third = path.read_bytes().splitlines(keepends=True)
    for damaged in (b"\0" * 9 + b"\n", second[:-2] + b"\n", second.replace(b'"item": 1', b'"item": 9')):
        path.write_bytes(header + first + damaged + third)
        assert ResultsFile.continued(path, Detection, 3, HEADER).missing == [1, 2]


def test_results_of_something_else_are_begun_anew(tmp_path):
    path = tmp_path / "a.jsonl"
    written(path)
    assert ResultsFile.continued(path, Detection, 3, {**HEADER, "bundle": "89"}).missing == [0, 1, 2]


def test_a_line_that_is_damaged_within_is_told(tmp_path):
    path = tmp_path / "a.jsonl"
    written(path)
    path.write_bytes(path.read_bytes().replace(b'"score": 0.1', b'"scare": 0.1'))
    results = ResultsFile.continued(path, Detection, 3, HEADER)
    with pytest.raises(CompileError, match="results of an earlier run cannot be read") as caught:
        list(results)
    assert caught.value.fix == f"remove {path}"


class Segmentation:
    """A task of the user's own."""

    name = "segmentation"
    result_class = None


def test_a_task_that_does_not_say_what_it_finds_is_named():
    with pytest.raises(CompileError, match="results of the task segmentation cannot be kept"):
        result_class(Segmentation(), scored_boxes=False)


def test_a_task_of_ones_own_says_what_it_finds():
    task = Segmentation()
    task.result_class = Mask
    assert result_class(task, scored_boxes=False) is Mask


@dataclass(frozen=True)
class Mask:
    """What is found by a task of the user's own."""

    area: float


METRIC = """
from dataclasses import dataclass
from typing import ClassVar

from compiler.metrics import Metric


@dataclass(frozen=True)
class MeanArea(Metric):
    TASKS: ClassVar[tuple[str, ...]] = ("segmentation",)
    HEADLINE: ClassVar[str] = "area"

    scale: float = 1.0

    def score(self, predictions, dataset):
        areas = [one.area for found in predictions for one in found]
        return {"area": self.scale * sum(areas) / len(areas)}
"""


def test_a_metric_of_ones_own_is_named_by_its_class(tmp_path, monkeypatch):
    (tmp_path / "metrics_of_ones_own.py").write_text(METRIC)
    monkeypatch.syspath_prepend(tmp_path)
    (metric,) = find_metrics("segmentation", "own", (), ("metrics_of_ones_own.MeanArea",), {"scale": 2.0})
    assert metric.score([[Mask(3.0)], [Mask(5.0)]], Dataset(())) == {"area": 8.0}
    with pytest.raises(UsageError, match="no metric is known for the task segmentation"):
        find_metrics("segmentation", "own", (), (), {})
    with pytest.raises(UsageError, match=r"metrics_of_ones_own\.Other is not a Metric"):
        find_metrics("segmentation", "own", (), ("metrics_of_ones_own.Other",), {})
    with pytest.raises(CompileError, match="MeanArea does not measure detection"):
        find_metrics("detection", "coco", (), ("metrics_of_ones_own.MeanArea",), {})
