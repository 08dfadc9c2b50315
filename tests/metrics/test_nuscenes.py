"""nuScenes' numbers are those of its own kit, and what they count is as its paper says."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compiler.datasets import Dataset, read_nuscenes
from compiler.datasets.dataset import Item, SolidTruth, WorldFrame
from compiler.errors import CompileError
from compiler.metrics.nuscenes import NuScenes
from compiler.tasks.voxel_detection import Detection3D
from tests.metrics.nuscenes_tables import detections, tables, write_tables
from tests.tasks.detectors import detector

GOLDEN = json.loads((Path(__file__).parents[1] / "data/nuscenes_scores.json").read_text())
"""What nuscenes-devkit 1.2.0 says of the same tables and boxes: see `ask_nuscenes_kit.py`."""


def detection(name="car", center=(5.0, 0.0, 0.0), size=(4.0, 2.0, 1.5), yaw=0.0, velocity=(0.0, 0.0), score=0.9):
    x, y, z = center
    bottom = np.array([x, y, z - size[2] / 2])
    return Detection3D(bottom, np.array(size), yaw, score, 0, name, None if velocity is None else np.array(velocity))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return read_nuscenes(write_tables(tmp_path_factory.mktemp("nuscenes"), tables()), split="mini_val")


@pytest.fixture(scope="module")
def predictions(dataset):
    found = detections(tables())
    return [[detection(**one) for one in found[str(item.identity)]] for item in dataset.items]


def test_precisions_errors_and_the_score_are_those_of_nuscenes_own_kit(dataset, predictions):
    scores = NuScenes().score(predictions, dataset)
    for name, by_distance in GOLDEN["label_aps"].items():
        for distance, precision in by_distance.items():
            assert scores[f"NuScenes/{name}_AP_dist_{distance}"] == pytest.approx(precision, abs=1e-9), name
    for name, errors in GOLDEN["label_tp_errors"].items():
        for error, value in errors.items():
            assert scores[f"NuScenes/{name}_{error}"] == pytest.approx(value, abs=1e-9, nan_ok=True), (name, error)
    means = dict(zip(("mATE", "mASE", "mAOE", "mAVE", "mAAE"), GOLDEN["tp_errors"].values(), strict=True))
    assert {name: scores[f"NuScenes/{name}"] for name in means} == pytest.approx(means, abs=1e-9)
    assert scores["NuScenes/mAP"] == pytest.approx(GOLDEN["mean_ap"], abs=1e-9)
    assert scores["NuScenes/NDS"] == pytest.approx(GOLDEN["nd_score"], abs=1e-9)
    assert NuScenes.HEADLINE in scores


STILL = tuple(tuple(row) for row in np.eye(4).tolist())
CAR = SolidTruth((5.0, 0.0, -0.75), (4.0, 2.0, 1.5), 0.0, "car", velocity=(0.0, 0.0, 0.0), attribute="vehicle.parked")


def one_sample(*truth: SolidTruth) -> Dataset:
    return Dataset((Item(Path("a.bin"), truth, "sample", WorldFrame(STILL, STILL)),))


def of_cars(found, *truth: SolidTruth) -> dict[str, float]:
    scores = NuScenes().score([found], one_sample(*truth))
    return {key.removeprefix("NuScenes/car_"): value for key, value in scores.items() if "/car_" in key}


def test_what_is_found_where_it_is_scores_all_and_what_is_missed_nothing():
    found = of_cars([detection()], CAR)
    assert found["AP_dist_0.5"] == pytest.approx(1)
    assert [found[error] for error in ("trans_err", "scale_err", "orient_err", "vel_err", "attr_err")] == [0] * 5
    missed = of_cars([], CAR)
    assert [missed[key] for key in ("AP_dist_4.0", "trans_err", "attr_err")] == [0, 1, 1]


def test_a_samples_own_loss_is_that_of_the_classes_in_it():
    bus = replace(CAR, label="bus", bottom=(0.0, 20.0, -0.75))
    metric = NuScenes()
    assert metric.loss([detection()], one_sample(CAR)) == pytest.approx(0)
    assert metric.loss([detection()], one_sample(CAR, bus)) == pytest.approx(0.5)
    assert metric.loss([], one_sample(CAR)) == 1
    assert math.isnan(metric.loss([detection()], one_sample())), "nothing is measured"


def test_a_sample_with_nothing_in_it():
    scores = NuScenes().score([[]], one_sample())
    assert (scores["NuScenes/NDS"], scores["NuScenes/mAP"]) == (0, 0)
    assert of_cars([detection()])["AP_dist_4.0"] == 0


def test_a_car_beside_its_place_counts_from_the_distance_on_that_it_is_beside():
    scores = of_cars([detection(center=(5.0, 1.5, 0.0), size=(4.0, 2.0, 3.0), yaw=0.3, velocity=(3.0, 4.0))], CAR)
    assert [scores[f"AP_dist_{one}"] for one in (0.5, 1.0, 2.0, 4.0)] == pytest.approx([0, 0, 1, 1])
    expected = {"trans_err": 1.5, "scale_err": 0.5, "orient_err": 0.3, "vel_err": 5.0, "attr_err": 1.0}
    assert {key: scores[key] for key in expected} == pytest.approx(expected)


def test_of_two_found_at_one_place_the_surer_is_right_and_half_precision_counts():
    other = replace(CAR, bottom=(20.0, 0.0, -0.75))
    twice = [detection(score=0.9), detection(score=0.8), detection(center=(20.0, 0.0, 0.0), score=0.7)]
    scores = of_cars(twice, CAR, other)
    # Precision is 1 up to a recall of 0.5 and falls to 1/2 there; then it rises to 2/3.
    recalls = np.linspace(0, 1, 101)[11:]
    curve = np.interp(recalls, [0.5, 0.5, 1.0], [1.0, 0.5, 2 / 3])
    assert scores["AP_dist_2.0"] == pytest.approx((curve - 0.1).mean() / 0.9)


@pytest.mark.parametrize(
    "truth",
    [
        replace(CAR, ignore=True),
        replace(CAR, bottom=(50.0, 0.0, -0.75)),
        replace(CAR, label="animal", ignore=True),
    ],
    ids=["no point hits it", "it is too far away", "it is of another class"],
)
def test_what_does_not_count_is_no_loss(truth):
    scores = of_cars([detection()], CAR, truth)
    assert scores["AP_dist_0.5"] == pytest.approx(1)


def test_bicycles_in_a_rack_count_neither_way():
    rack = SolidTruth((5.0, 0.0, -1.0), (4.0, 2.0, 2.0), math.pi / 2, "static_object.bicycle_rack", ignore=True)
    bicycle = replace(CAR, label="bicycle", size=(1.7, 0.6, 1.3))
    outside = replace(bicycle, bottom=(8.0, 0.0, -0.65))

    def precision(*places):
        found = [[detection("bicycle", (x, y, 0.0), (1.7, 0.6, 1.3)) for x, y in places]]
        return NuScenes().score(found, one_sample(rack, bicycle, outside))["NuScenes/bicycle_AP_dist_0.5"]

    assert precision((8.0, 0.0)) == pytest.approx(1)
    assert precision((8.0, 0.0), (5.0, 1.9)) == pytest.approx(1), "the rack is turned"
    assert precision((8.0, 0.0), (6.5, 0.0)) < 1, "beside the rack"


def test_where_the_network_tells_no_velocity_its_error_is_one():
    assert of_cars([detection(velocity=None)], CAR)["vel_err"] == 1


def test_what_is_written_is_what_nuscenes_server_reads(dataset, predictions, tmp_path):
    (path,) = NuScenes().write(predictions, dataset, tmp_path)
    written = json.loads(path.read_text())
    assert written["meta"] == {
        "use_camera": False,
        "use_lidar": True,
        "use_radar": False,
        "use_map": False,
        "use_external": False,
    }
    assert set(written["results"]) == {item.identity for item in dataset.items}
    boxes = [box for boxes in written["results"].values() for box in boxes]
    kinds = {"sample_token": str, "detection_name": str, "detection_score": float, "attribute_name": str}
    numbers = {"translation": 3, "size": 3, "rotation": 4, "velocity": 2}
    for box in boxes:
        assert {key: type(box[key]) for key in kinds} == kinds
        assert {key: len(box[key]) for key in numbers} == numbers
    assert len(boxes) > 100


def test_a_data_set_that_does_not_say_where_it_is_and_other_classes_are_refused():
    with pytest.raises(CompileError, match="does not say where its scanner is"):
        NuScenes().score([[]], Dataset((Item(Path("a.bin"), (CAR,)),)))
    metric = NuScenes()
    assert metric.fitted(detector("centerpoint"), Dataset(())) is metric
    with pytest.raises(CompileError, match="looks for what nuScenes does not") as caught:
        metric.fitted(detector("pointpillars"), Dataset(()))
    assert caught.value.where == "Pedestrian, Cyclist, Car"
