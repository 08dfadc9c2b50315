"""A detector chained to what looks into its boxes, and a text detector to a recogniser, through one `chain`."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from compiler import runtime
from compiler.errors import CompileError, UsageError
from compiler.runtime.chains import apart
from compiler.runtime.text_spotting import TextSpotter, open_spotter
from compiler.tasks.classes import Classes
from compiler.tasks.detection import Detection
from tests.bundles import FIRST_LAYOUT
from tests.conftest import PHOTOGRAPH, REPOSITORY

PAGE = REPOSITORY / "compiler/tasks/photographs/page.png"


def small(name):
    return runtime.open(FIRST_LAYOUT / name, trust_changes=True)


@pytest.fixture(scope="module")
def detector():
    """A detector of random weights, in which what it takes for a cup is a person."""
    predictor = small("objects")
    exchanged = {"person": "cup", "cup": "person"}
    names = tuple(exchanged.get(name, name) for name in predictor.task.classes.names)
    return replace(predictor, task=replace(predictor.task, classes=Classes(names)))


@pytest.fixture(scope="module")
def pose():
    return small("pose")


@pytest.fixture(scope="module")
def people(detector, pose):
    return runtime.chain(detector, pose, runtime.ChainOptions(score_threshold=0.01))


def detection(x1, y1, x2, y2, score, name="person"):
    return Detection(np.array([x1, y1, x2, y2], "f4"), score, 0, name)


def test_key_points_are_looked_for_in_the_boxes_of_people(detector, pose, people):
    found = people(PHOTOGRAPH)
    assert found
    assert {one.detection.name for one in found} == {"person"}
    boxes = [one.detection.box.tolist() for one in found]
    assert [one.result.box.tolist() for one in found] == boxes
    for one, alone in zip(found, pose(PHOTOGRAPH, boxes), strict=True):
        np.testing.assert_allclose(one.result.keypoints, alone.keypoints, rtol=1e-4)
    every = [one.box.tolist() for one in detector(PHOTOGRAPH) if one.name == "person"]
    assert all(box in every for box in boxes)


def test_what_is_chosen_is_what_mmposes_demo_chooses(detector, pose):
    chain = runtime.chain(detector, pose)
    found = [
        detection(0, 0, 10, 10, 0.5),
        detection(0, 0, 10, 11, 0.9),  # overlaps the first more than 0.3, and is surer
        detection(50, 50, 60, 60, 0.3),  # not more than 0.3
        detection(50, 50, 60, 60, 0.31),
        detection(80, 80, 90, 90, 0.99, "dog"),
    ]
    assert [one.score for one in chain.chosen(found)] == [0.9, 0.31]
    dogs = runtime.chain(detector, pose, runtime.ChainOptions(label="dog", score_threshold=0.5))
    assert [one.name for one in dogs.chosen(found)] == ["dog"]


def test_overlaps_count_both_ends_as_mmpose_does():
    boxes = np.array([[0, 0, 9, 9, 0.9], [0, 0, 9, 4, 0.8]], "f4")  # 100 and 50 pixels, 50 in common
    assert apart(boxes, 0.5) == [0, 1]
    assert apart(boxes, 0.49) == [0]


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7])
def test_overlaps_are_suppressed_as_opencv_does(threshold):
    random = np.random.default_rng(3)
    corners = random.uniform(0, 80, (200, 2))
    boxes = np.hstack(
        [corners, corners + random.uniform(5, 60, (200, 2)), random.permutation(200)[:, None] / 200 + 0.1]
    )
    sides = np.hstack([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2] + 1])
    expected = cv2.dnn.NMSBoxes(sides.tolist(), boxes[:, 4].tolist(), 0.0, threshold)
    kept = apart(boxes, threshold)
    assert kept == list(np.asarray(expected).ravel())
    assert 5 < len(kept) < 195


def test_nobody_is_looked_at_where_nobody_is_found(detector, pose):
    chain = runtime.chain(detector, pose, runtime.ChainOptions(score_threshold=1.0))
    assert chain(PHOTOGRAPH) == []
    image = cv2.imread(str(PHOTOGRAPH))
    np.testing.assert_array_equal(chain.draw(PHOTOGRAPH, []), image)


def test_a_list_gives_a_list_for_each_and_results_are_json(people):
    first, second = people([PHOTOGRAPH, cv2.imread(str(PHOTOGRAPH))])
    assert len(first) == len(second)
    shown = json.loads(json.dumps(first[0].to_dict()))
    assert len(shown["keypoints"]) == 17
    assert shown["detection"]["name"] == "person"
    assert shown["detection"]["box"] == shown["box"]


def test_what_is_found_is_drawn(people):
    drawn = people.draw(PHOTOGRAPH, people(PHOTOGRAPH))
    assert (drawn != cv2.imread(str(PHOTOGRAPH))).any()


def test_a_recogniser_reads_every_object_that_a_detector_finds(detector):
    chain = runtime.chain(detector, small("reader"), runtime.ChainOptions(score_threshold=0.99))
    found = chain(PHOTOGRAPH)
    assert len({one.detection.name for one in found}) > 1
    assert all(isinstance(one.result.text, str) for one in found)


def test_text_is_found_and_read_through_the_same_chain():
    detector, reader = small("text"), small("reader")
    chain = runtime.chain(detector, reader)
    assert isinstance(chain, TextSpotter)
    paths = (FIRST_LAYOUT / "text", FIRST_LAYOUT / "reader")
    expected = [word.to_dict() for word in open_spotter(*paths, trust_changes=True)(PAGE)]
    assert [word.to_dict() for word in chain(PAGE)] == expected
    assert [[word.to_dict() for word in words] for words in chain([PAGE])] == [expected]
    opened = runtime.open_chain(*paths, trust_changes=True)
    assert [word.to_dict() for word in opened(PAGE)] == expected


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("pose", "objects"), "pose-detection and detection"),
        (("objects", "objects"), "detection and detection"),
        (("arrays", "pose"), "tensors and pose-detection"),
        (("reader", "text"), "text-recognition and text-detection"),
    ],
)
def test_bundles_that_do_not_go_together_are_refused(names, why):
    with pytest.raises(CompileError) as caught:
        runtime.chain(*map(small, names))
    assert caught.value.why == f"they do {why}"
    assert caught.value.fix


def test_a_class_that_the_detector_does_not_know_is_refused_with_the_nearest(detector, pose):
    with pytest.raises(UsageError, match="the detector finds no 'persn'") as caught:
        runtime.chain(detector, pose, runtime.ChainOptions(label="persn"))
    assert "did you mean person?" in caught.value.fix


@pytest.mark.parametrize("values", [{"score_threshold": 1.5}, {"iou_threshold": -0.1}])
def test_thresholds_out_of_their_range_are_refused(values):
    with pytest.raises(UsageError, match=f"'chain.{next(iter(values))}' must be from 0 to 1"):
        runtime.ChainOptions(**values)


def test_text_is_read_without_a_choice():
    with pytest.raises(UsageError, match="every text that is found is read"):
        runtime.chain(small("text"), small("reader"), runtime.ChainOptions())
