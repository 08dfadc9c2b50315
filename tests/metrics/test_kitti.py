"""KITTI's numbers are those of MMDetection3D's evaluation, and what they count is as KITTI says."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compiler.datasets import Dataset, read_kitti
from compiler.datasets.dataset import CameraFrame, Item, SolidTruth
from compiler.errors import CompileError
from compiler.metrics.kitti import Kitti
from compiler.tasks.voxel_detection import Detection3D
from tests.metrics.kitti_files import PROJECTION, detections, projected, to_scanner, write_files
from tests.tasks.detectors import detector

GOLDEN = json.loads((Path(__file__).parents[1] / "data/kitti_scores.json").read_text())
"""What MMDetection3D 1.4.0 says of the same files and boxes: see `ask_mmdetection3d.py`."""
CLASSES = ("Pedestrian", "Cyclist", "Car")


def detection(name, scanned, score=0.9):
    return Detection3D(np.array(scanned[:3]), np.array(scanned[3:6]), scanned[6], score, 0, name)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return read_kitti(write_files(tmp_path_factory.mktemp("kitti")))


@pytest.fixture(scope="module")
def predictions():
    return [[detection(one["name"], to_scanner(one["box"]), one["score"]) for one in frame] for frame in detections()]


def test_every_number_is_that_of_mmdetection3d(dataset, predictions):
    scores = Kitti(CLASSES).score(predictions, dataset)
    assert {key: scores.get(key) for key in GOLDEN} == pytest.approx(GOLDEN, abs=1e-6)
    assert scores.keys() == GOLDEN.keys()
    assert Kitti.HEADLINE in scores


# The camera stands where the scanner does, and looks along its x.
AHEAD = CameraFrame(((0, -1, 0, 0), (0, 0, -1, 0), (1, 0, 0, 0), (0, 0, 0, 1)), PROJECTION)
PLACES = tuple(range(-8, 9, 4))


def car(y: float, x: float = 15.0, **changes) -> SolidTruth:
    """A car that is 4 m long and 1.5 m high, and stands across."""
    scanned = (x, y, -1.7, 4.0, 1.6, 1.5, math.pi / 2)
    image_box = tuple(projected([-y, 1.7, x, 4.0, 1.5, 1.6, -math.pi]))
    return replace(SolidTruth(scanned[:3], scanned[3:6], scanned[6], "Car", image_box=image_box), **changes)


def found(y: float, x: float = 15.0, z: float = -1.7, name: str = "Car", score: float = 0.9) -> Detection3D:
    return detection(name, (x, y, z, 4.0, 1.6, 1.5, math.pi / 2), score)


def of_one_frame(detected, *truth) -> dict[str, float]:
    scores = Kitti(("Car",)).score([detected], Dataset((Item(Path("000000.bin"), truth, frame=AHEAD),)))
    return {key.removeprefix("KITTI/"): value for key, value in scores.items()}


def test_all_that_is_found_where_it_is_scores_all_of_the_recalls_that_so_few_reach():
    scores = of_one_frame([found(y) for y in PLACES], *map(car, PLACES))
    # Five objects give five thresholds: as KITTI's kit has it, precision is looked at at so many recalls alone.
    assert scores["Car_3D_AP40_moderate_strict"] == pytest.approx(100 * 4 / 40)
    assert scores["Car_3D_AP11_moderate_strict"] == pytest.approx(100 * 2 / 11)
    assert scores["Overall_3D_AP40_moderate"] == scores["Car_3D_AP40_moderate_strict"]


def test_a_frame_with_nothing_in_it():
    for detected, truth in (([], []), ([found(0)], []), ([], [car(0)])):
        assert set(of_one_frame(detected, *truth).values()) == {0}


def test_a_box_that_floats_is_right_from_above_alone():
    scores = of_one_frame([found(y, z=-1.3) for y in PLACES], *map(car, PLACES))
    assert scores["Car_BEV_AP40_easy_strict"] == pytest.approx(10)
    assert scores["Car_3D_AP40_easy_strict"] == 0, "(1.5 - 0.4) / (1.5 + 0.4) is less than 0.7"
    assert scores["Car_3D_AP40_easy_loose"] == pytest.approx(10)


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"occlusion": 0}, (True, True, True)),
        ({"occlusion": 1}, (False, True, True)),
        ({"occlusion": 2}, (False, False, True)),
        ({"occlusion": 3}, (False, False, False)),
        ({"truncation": 0.15}, (True, True, True)),
        ({"truncation": 0.2}, (False, True, True)),
        ({"truncation": 0.5}, (False, False, True)),
        ({"image_box": (0.0, 0.0, 9.0, 40.0)}, (False, True, True)),
        ({"image_box": (0.0, 0.0, 9.0, 25.0)}, (False, False, False)),
    ],
)
def test_what_is_too_hard_is_neither_a_gain_nor_a_loss(change, counts):
    truth = [car(y, **change) for y in PLACES]
    scores = of_one_frame([found(y) for y in PLACES], *truth)
    reached = tuple(scores[f"Car_BEV_AP40_{one}_strict"] > 0 for one in ("easy", "moderate", "hard"))
    assert reached == counts


def test_what_is_missed_is_a_loss_unless_it_is_too_hard():
    detected, truth = [found(y) for y in PLACES], [*map(car, PLACES)]

    def precision(**change):
        missed = [car(y / 10, x=40, **change) for y in range(-75, 75)]
        return of_one_frame(detected, *truth, *missed)["Car_BEV_AP40_hard_strict"]

    assert precision(occlusion=3) == pytest.approx(10)
    assert precision(occlusion=2) == pytest.approx(5), (
        "5 of 155 reach 3 of the 41 recalls, of which the first is left out"
    )


def test_a_van_taken_for_a_car_is_no_error_and_a_pedestrian_is():
    truth = [*map(car, PLACES)]
    right = [found(y, score=0.5) for y in PLACES]
    van, person = car(12, label="Van"), car(12, label="Pedestrian")
    key = "Car_BEV_AP40_easy_strict"
    assert of_one_frame([*right, found(12)], *truth, van)[key] == pytest.approx(10)
    # One of six is wrong at every threshold.
    assert of_one_frame([*right, found(12)], *truth, person)[key] == pytest.approx(10 * 5 / 6)


def test_what_lies_in_a_region_without_labels_is_no_error_in_the_image():
    truth, right = [*map(car, PLACES)], [found(y, score=0.5) for y in PLACES]
    region = car(12, label="DontCare", ignore=True)
    scores = of_one_frame([*right, found(12)], *truth, region)
    assert scores["Car_2D_AP40_easy_strict"] == pytest.approx(10)
    assert scores["Car_BEV_AP40_easy_strict"] == pytest.approx(10 * 5 / 6)


def test_a_frames_own_loss_is_by_its_recall_and_precision():
    def loss(detected, *truth):
        return Kitti(("Car",)).loss(detected, Dataset((Item(Path("000000.bin"), truth, frame=AHEAD),)))

    right = [found(y) for y in PLACES]
    assert loss(right, *map(car, PLACES)) == pytest.approx(0)
    assert loss(right[:1], car(PLACES[0])) == pytest.approx(0), "one object is enough"
    assert loss(right[:4], *map(car, PLACES)) == pytest.approx(1 - 2 * 4 / (5 + 4))
    assert loss([*right, found(12, score=0.5)], *map(car, PLACES)) == pytest.approx(0), (
        "what scores less can be left out"
    )
    assert loss([*right, found(12)], *map(car, PLACES)) == pytest.approx(1 - 2 * 5 / (5 + 6))
    assert loss([], *map(car, PLACES)) == 1
    assert math.isnan(loss(right)), "nothing is measured"


@pytest.mark.parametrize(
    "unseen",
    [found(0, x=71.0), found(41.0, x=60.0), found(0, z=0.1), found(0, z=-3.1), found(30.0, x=10.0)],
    ids=["too far", "too far left", "too high", "too low", "beside the image"],
)
def test_what_the_camera_does_not_see_is_no_error(unseen):
    right = [found(y, score=0.5) for y in PLACES]
    scores = of_one_frame([*right, unseen], *map(car, PLACES))
    assert scores["Car_BEV_AP40_easy_strict"] == pytest.approx(10)


def test_what_is_written_is_read_as_labels_again(dataset, predictions, tmp_path):
    files = Kitti(CLASSES).write(predictions, dataset, tmp_path)
    assert [path.name for path in files] == [f"{item.path.stem}.txt" for item in dataset.items]
    lines = [line.split() for line in files[0].read_text().splitlines()]
    assert lines
    written = {(line[0], line[15]): [float(one) for one in line[8:15]] for line in lines}
    for one in detections()[0]:
        x, y, z, length, height, width, angle = one["box"]
        key = one["name"], f"{one['score']:.4f}"
        if key in written:
            assert written[key] == pytest.approx([height, width, length, x, y, z, angle], abs=1e-3)
    assert all(line[1:3] == ["-1", "-1"] and len(line) == 16 for line in lines)


def test_a_data_set_without_a_camera_is_refused():
    with pytest.raises(CompileError, match="does not say where its camera is"):
        Kitti(("Car",)).score([[]], Dataset((Item(Path("a.bin")),)))


def test_the_classes_that_a_model_looks_for_are_measured_and_others_are_refused():
    pointpillars, centerpoint = detector("pointpillars"), detector("centerpoint")
    assert Kitti().fitted(pointpillars, Dataset(())).classes == pointpillars.classes == CLASSES
    assert Kitti(("Car",)).fitted(pointpillars, Dataset(())).classes == ("Car",)
    with pytest.raises(CompileError, match="does not say how these classes are measured"):
        Kitti().fitted(centerpoint, Dataset(()))
    with pytest.raises(CompileError, match="does not say how these classes are measured") as caught:
        Kitti(("Car", "Van")).fitted(pointpillars, Dataset(()))
    assert caught.value.where == "Van"
