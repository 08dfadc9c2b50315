"""Reading ahead, and where a model looks for people."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from compiler.datasets import Dataset, Item, KeypointTruth, ObjectTruth, TextTruth
from compiler.errors import CompileError
from compiler.evaluation.boxes import people_in, read_detections
from compiler.evaluation.results_file import ResultsFile
from compiler.evaluation.running import AHEAD, Runner, ahead
from compiler.runtime import open as open_bundle
from compiler.tasks.text_recognition import Text

SEEN, HIDDEN, UNLABELLED = (KeypointTruth(5, 5, visibility) for visibility in (2, 1, 0))


def test_what_is_made_ahead_comes_in_order_and_is_never_much():
    made: list[int] = []
    taken = 0
    for value in ahead(lambda number: made.append(number) or number * 2, range(40), workers=3):
        assert value == 2 * taken
        taken += 1
        assert len(made) <= taken + 3 * AHEAD
    assert taken == 40


def test_threads_work_at_the_same_time():
    both = threading.Barrier(2, timeout=20)
    assert list(ahead(lambda _: both.wait() in (0, 1), range(4), workers=2)) == [True] * 4


def test_what_fails_ahead_is_raised_in_its_turn():
    def make(number: int) -> int:
        if number == 2:
            raise CompileError("the image cannot be read")
        return number

    results = ahead(make, range(9), workers=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(CompileError):
        next(results)


def people(*truths: ObjectTruth) -> list[list[float]]:
    return people_in(Item(Path("a.jpg"), truths), 100, 50).corners.tolist()


def test_people_without_a_labelled_point_are_not_evaluated():
    """As MMPose's `_is_valid_instance` has it."""
    box = (10.0, 10.0, 20.0, 40.0)
    assert people(ObjectTruth(box, keypoints=(SEEN,)), ObjectTruth(box, keypoints=(HIDDEN,))) == [list(box)] * 2
    assert people(ObjectTruth(box, keypoints=(UNLABELLED,))) == []
    assert people(ObjectTruth(box)) == []
    assert people(ObjectTruth(box, ignore=True, keypoints=(SEEN,))) == []
    assert people(ObjectTruth(box, keypoints=(KeypointTruth(0, 0, 2),))) == []


def test_boxes_are_clipped_to_the_last_pixel_of_the_image():
    assert people(ObjectTruth((-5, 10, 120, 60), keypoints=(SEEN,))) == [[0, 10, 99, 49]]
    assert people(ObjectTruth((100, 10, 120, 40), keypoints=(SEEN,))) == [], "nothing of it is left"


DATASET = Dataset((Item(Path("a.jpg"), identity=1), Item(Path("b.jpg"), identity=2)))


def detected(folder: Path, content: object, threshold: float = 0.0):
    path = folder / "detections.json"
    path.write_text(json.dumps(content))
    return read_detections(path, DATASET, threshold)


def test_boxes_of_a_detector_are_by_the_numbers_of_images(tmp_path):
    one = {"image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], "score": 0.5}
    found = detected(
        tmp_path, [one, {**one, "score": 0.2}, {**one, "bbox": [1, 2, 0, 3]}, {**one, "category_id": 3}], 0.3
    )
    assert list(found) == ["1"]
    np.testing.assert_array_equal(found["1"].corners, [[10, 20, 40, 60]])
    np.testing.assert_array_equal(found["1"].scores, np.float32([0.5]))
    assert list(detected(tmp_path, [{**one, "image_id": "2"}])) == ["2"], "a number may be written as text"


@pytest.mark.parametrize(
    "content",
    [
        {"boxes": []},
        [{"image_id": 1}],
        [[1, 2, 3, 4]],
        "text",
        [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1e39, 5], "score": 0.5}],
        [{"image_id": 1, "category_id": 1, "bbox": [0, 0, float("nan"), 5], "score": 0.5}],
        [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 5], "score": 0.5}],
        [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "score": float("inf")}],
        [{"image_id": 1.5, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5}],
    ],
)
def test_a_file_that_holds_no_results_is_refused(tmp_path, content):
    with pytest.raises(CompileError, match="holds no results of a detector"):
        detected(tmp_path, content)


def test_nothing_is_looked_at_where_no_box_has_an_area(tmp_path):
    """The image is not there: whoever read it, or looked at it as a whole, would fail."""
    flat = TextTruth("word", ((0.0, 5.0), (9.0, 5.0), (4.0, 5.0)))
    dataset = Dataset((Item(Path("missing.png"), (flat,)),))
    results = ResultsFile.continued(tmp_path / "results.jsonl", Text, 1, {})
    Runner(SimpleNamespace(task=SimpleNamespace(takes_boxes=True)), dataset).run(results)
    assert list(results) == [[]]


def test_what_only_a_contradictory_bundle_does_is_its_fault_and_no_defect(objects, images):
    predictor = open_bundle(objects)
    sample = predictor.task.read(images / "a.png")
    prepared = predictor.prepare(sample)
    assert len(predictor.results(prepared)) == len(predictor(images / "a.png")) > 0
    with pytest.raises(CompileError, match="the bundle contradicts itself"):
        replace(predictor, session=SessionOf({"other": np.zeros(3, np.float32)})).results(prepared)


class SessionOf:
    """An engine that gives the same whatever it is given."""

    def __init__(self, outputs):
        self.outputs = outputs

    def run(self, tensors):
        return self.outputs
