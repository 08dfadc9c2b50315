"""What two engines find in one input, compared and drawn."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from compiler.config import compose
from compiler.tasks import build_task
from compiler.tasks.detection import Detection
from compiler.tasks.pose import Pose
from compiler.tasks.text_detection import TextInstance
from compiler.tasks.text_recognition import Text
from compiler.tasks.voxel_detection import Detection3D
from tests.matrix import side_by_side
from tests.matrix.decoded import SHOWN, Decoded, apart, kind_of, place_of, scores_of, threshold_of
from tests.matrix.side_by_side import FAMILIES, LARGEST, PAGE, content, picture_of, read_measured, row, write_picture

BOX = np.array([10.0, 20.0, 110.0, 120.0], np.float32)


@pytest.fixture(scope="module")
def task():
    return build_task(compose(["model=rtmdet-tiny"]).model.processing)


def detection(score: float, shift: float = 0.0, label: int = 0) -> Detection:
    return Detection(BOX + np.float32(shift), score, label, "person")


def test_what_is_the_same_is_not_apart(task):
    one = Decoded(task, [detection(0.9), detection(0.5, 300)])
    found = apart(one, one)
    assert (found.found, found.place, found.score, found.whole, found.unit) == (2, 0, 0, 0, "1 - IoU")


def test_the_furthest_coordinate_and_score_of_the_surest_count(task):
    one = Decoded(task, [detection(0.9), detection(0.5, 300)])
    other = Decoded(task, [detection(0.5, 300.5), detection(0.85, 0.25)])
    found = apart(one, other)
    assert found.place == pytest.approx(0.5)
    assert found.score == pytest.approx(0.05)


def test_one_that_is_missing_or_of_another_class_is_infinitely_far(task):
    one = Decoded(task, [detection(0.9)])
    for other in ([], [detection(0.9, label=1)]):
        found = apart(one, Decoded(task, other))
        assert (found.place, found.whole) == (np.inf, 1.0)


def test_the_surest_are_drawn_and_no_more(task):
    scores = np.linspace(0.01, 0.02, 3 * SHOWN)
    found = Decoded(task, [detection(score, 10 * index) for index, score in enumerate(scores)])
    threshold = threshold_of(found)
    assert sum(one.score >= threshold for one in found.results) == SHOWN
    source = task.read(task.sample_source()).source
    assert (found.drawn(threshold) != source).any()
    assert (found.drawn(1.0) == source).all()
    assert threshold_of(Decoded(task, [])) == 0


@pytest.mark.parametrize(
    ("result", "kind", "numbers", "scores"),
    [
        (Pose(np.ones((17, 2), np.float32), np.ones(17, np.float32), BOX), None, 34, 17),
        (detection(0.5, label=3), 3, 4, 1),
        (TextInstance(np.ones((9, 2), np.float32), 0.5), None, 4, 1),
        (Text("word", 0.5, (0.5,) * 4, BOX), "word", 4, 1),
        (Detection3D(BOX[:3], BOX[:3], 0.5, 0.5, 2, "car"), 2, 7, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_of_each_kind_of_result_it_is_known_where_it_is_and_how_sure(result, kind, numbers, scores):
    assert (kind_of(result), len(place_of(result)), len(scores_of(result))) == (kind, numbers, scores)


def test_another_kind_of_result_is_refused():
    with pytest.raises(TypeError, match="where SimpleNamespace is"):
        place_of(SimpleNamespace())


def test_a_picture_is_a_row_of_panels_and_stays_small(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (400, 600, 3), np.uint8)
    picture = row({"onnxruntime": noise, "openvino": noise, "ncnn": noise})
    assert picture.shape[1] == 3 * (side_by_side.WIDTH + 4)
    write_picture(tmp_path / "row.jpg", picture)
    assert (tmp_path / "row.jpg").stat().st_size <= LARGEST
    assert cv2.imread(str(tmp_path / "row.jpg")).shape == picture.shape


def test_the_page_is_what_was_measured_and_its_pictures_are_there():
    measured = read_measured()
    assert content(measured) in PAGE.read_text("utf-8"), "python -m tests.matrix.side_by_side writes it anew"
    assert set(measured) <= set(FAMILIES)
    assert all(picture_of(family).stat().st_size <= LARGEST for family in measured)
