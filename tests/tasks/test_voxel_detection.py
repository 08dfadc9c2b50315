"""Detection in point clouds: from a scan to boxes drawn on it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from compiler.config.sizes import SizeRange
from compiler.errors import CompileError, UsageError
from compiler.tasks import build_task
from compiler.tasks.voxel_detection import Detection3D, PreparedVoxels
from tests.tasks.detectors import detector
from tests.tasks.raw_maps import raw_maps

MODELS = {"pointpillars": "pointpillars_kitti3", "centerpoint": "centerpoint_pillar02"}


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def task(name):
    return detector(name)


@pytest.fixture(scope="module")
def points(task):
    return task.read(task.sample_source())


@pytest.fixture(scope="module")
def outputs(name, task, parity):
    return raw_maps(parity, MODELS[name], task.outputs)


@pytest.fixture(scope="module")
def results(task, outputs):
    return task.decode(outputs, PreparedVoxels({}, 1))


def cars(*places, score=0.9, label=2, **changes):
    """Return cars of KITTI at x, y; the scores go down by a hundredth each."""
    size, bottom = np.array([4, 1.6, 1.5], np.float32), -1.7
    return [
        Detection3D(np.array([x, y, bottom], np.float32), size, 0.0, score - index / 100, label, "Car", **changes)
        for index, (x, y) in enumerate(places)
    ]


STREET = [(8.0 * column, 6.0 * row) for column in range(8) for row in range(-2, 3)]
"""Forty places far from each other, so that one more or less is few."""


@pytest.fixture(scope="module")
def pointpillars():
    return detector("pointpillars")


def test_what_the_network_is_given_equals_the_originals(name, task, parity):
    with np.load(parity / f"{MODELS[name]}.npz") as golden:
        prepared = task.preprocess(task.read(golden["points"]), None)
        assert tuple(prepared.tensors) == task.inputs == ("voxels", "num_points", "coors")
        for key, tensor in prepared.tensors.items():
            assert tensor.dtype == golden[key].dtype
            np.testing.assert_array_equal(tensor, golden[key])


def test_a_fixed_engine_gets_its_number_of_voxels(task, points):
    free = task.preprocess(points, None).tensors
    count = len(free["coors"])
    fewer = task.preprocess(points, None, SizeRange.exactly((100,))).tensors
    more = task.preprocess(points, None, SizeRange.exactly((count + 9,))).tensors
    for key, tensor in free.items():
        np.testing.assert_array_equal(fewer[key], tensor[:100])
        np.testing.assert_array_equal(more[key][:count], tensor)
        np.testing.assert_array_equal(more[key][count:], np.repeat(tensor[-1:], 9, axis=0))


def test_a_dynamic_engine_gets_what_there_is_within_its_bounds(task, points):
    count = len(task.preprocess(points, None).tensors["coors"])
    for low, high, given in ((1, 40000, count), (count + 5, 40000, count + 5), (1, 7, 7)):
        sizes = SizeRange((low,), (low,), (high,), (1,))
        assert len(task.preprocess(points, None, sizes).tensors["coors"]) == given


def test_boxes_are_refused(task, points):
    assert task.read_boxes(None, points) is None
    with pytest.raises(CompileError, match="whole point cloud"):
        task.read_boxes("0,0,9,9", points)
    with pytest.raises(CompileError, match="whole point cloud"):
        task.preprocess(points, np.zeros((1, 4)))


def test_a_cloud_in_another_frame_is_refused_and_one_that_is_partly_out_of_range_is_not(task, points):
    elsewhere = points.copy()
    elsewhere[:, 2] += 1000
    with pytest.raises(CompileError) as error:
        task.preprocess(elsewhere, None)
    assert "where the model looks" in str(error.value)
    assert "99" in error.value.where
    with pytest.raises(CompileError, match="where the model looks"):
        task.samples(elsewhere, None, 2, (10,))
    elsewhere[0, :3] = 20, 5, -1
    assert len(task.preprocess(elsewhere, None).tensors["coors"]) == 1
    with pytest.raises(ValueError, match="not"):
        task.preprocess(points[:, :2], None)


def test_results_are_the_originals_the_best_first(name, results, parity):
    with np.load(parity / "decode" / f"{MODELS[name]}.npz") as golden:
        scores = golden["decoded.scores_3d"]
        assert len(results) == len(scores)
        assert [one.score for one in results] == pytest.approx(np.sort(scores)[::-1], abs=1e-6)
        best, box = results[0], golden["decoded.bboxes_3d"][scores.argmax()]
        np.testing.assert_allclose([*best.bottom, *best.size, best.yaw], box[:7], atol=2e-5)
        assert best.label == golden["decoded.labels_3d"][scores.argmax()]
        assert best.center[2] == pytest.approx(box[2] + box[5] / 2, abs=1e-5)


def test_results_name_their_class_their_velocity_and_their_cloud(name, task, outputs, results):
    batch = {key: np.concatenate([tensor, tensor]) for key, tensor in outputs.items()}
    both = task.decode(batch, PreparedVoxels({}, 2))
    assert [one.item for one in both] == [0] * len(results) + [1] * len(results)
    assert {one.name for one in both} <= set(task.classes)
    assert (both[0].velocity is None) == (name == "pointpillars")
    assert len(task.decode(batch, PreparedVoxels({}, 1))) == len(results)
    assert json.loads(json.dumps(both[0].to_dict()))["bottom"] == both[0].bottom.tolist()


@pytest.mark.parametrize(("count", "total"), [(1, 1), (1, 8000), (3, 3), (4, 10001)])
def test_samples_are_different_clouds_with_that_many_different_voxels(task, points, count, total):
    sample = task.samples(points, None, count, (total,))
    again = task.samples(points, None, count, (total,))
    coors = sample.tensors["coors"]
    assert sample.clouds == count
    assert len(np.unique(coors, axis=0)) == len(coors) == total
    assert (np.diff(coors[:, 0]) >= 0).all()
    shares = np.bincount(coors[:, 0])
    assert len(shares) == count
    assert np.ptp(shares) <= 1
    for key, tensor in sample.tensors.items():
        np.testing.assert_array_equal(tensor, again.tensors[key])


def test_the_first_sample_is_the_cloud_itself_and_the_others_differ(task, points):
    sample = task.samples(points, None, 3, (600,)).tensors
    free = task.preprocess(points, None).tensors
    np.testing.assert_array_equal(sample["coors"][:200], free["coors"][:200])
    np.testing.assert_array_equal(sample["voxels"][:200], free["voxels"][:200])
    parts = sample["coors"][:, 1:].reshape(3, 200, 3)
    assert not np.array_equal(parts[0], parts[1])
    assert not np.array_equal(parts[1], parts[2])


def test_one_point_is_enough_for_samples_and_more_clouds_than_voxels_are_too_many(task):
    point = np.zeros((1, task.used_dimensions), np.float32)
    point[0, 0] = 20
    assert len(task.samples(point, None, 4, (64,)).tensors["coors"]) == 64
    with pytest.raises(ValueError, match="cannot share"):
        task.samples(point, None, 4, (3,))


def test_equal_results_do_not_differ(task, results):
    assert task.difference(results, results) == 0
    assert task.difference(results, results[::-1]) == 0
    assert task.difference([], []) == 0


def test_the_difference_is_how_far_the_corners_moved(pointpillars):
    street = cars(*STREET)
    moved = [replace(street[0], bottom=street[0].bottom + np.array([0.03, 0.04, 0], np.float32)), *street[1:]]
    assert pointpillars.difference(street, moved) == pytest.approx(0.05, abs=1e-5)
    longer = [replace(street[0], size=street[0].size + np.array([0.1, 0, 0], np.float32)), *street[1:]]
    assert pointpillars.difference(street, longer) == pytest.approx(0.05, abs=1e-5)
    turned = [replace(street[0], yaw=0.01), *street[1:]]
    assert pointpillars.difference(street, turned) == pytest.approx(0.01 * np.hypot(2, 0.8), rel=1e-3)


def test_a_box_that_faces_the_other_way_covers_the_same(pointpillars):
    street = cars(*STREET)
    assert pointpillars.difference(street, [replace(one, yaw=np.pi) for one in street]) < 1e-5


def test_a_size_beyond_all_bounds_is_cut_at_them(pointpillars):
    street = cars(*STREET)
    huge, other = (
        replace(street[0], yaw=0.7, size=np.array([length, 2, 1.5], np.float32)) for length in (2_000_000, 2_000_008)
    )
    assert pointpillars.difference([huge, *street[1:]], [other, *street[1:]]) == 0
    assert pointpillars.difference([huge, *street[1:]], street) > 30


def test_an_object_that_is_lacking_cannot_be_paired(pointpillars):
    street = cars(*STREET)
    for other in (street[1:], street[:-1], [replace(street[0], label=1), *street[1:]], cars(*STREET, item=1)):
        assert pointpillars.difference(street, other) == np.inf
        assert pointpillars.difference(other, street) == np.inf


@pytest.mark.parametrize(("score", "difference"), [(0.10001, 0), (0.11, np.inf)])
def test_an_object_that_scores_the_threshold_may_be_lacking(pointpillars, score, difference):
    assert pointpillars.difference(cars(*STREET), cars(*STREET) + cars((66, 20), score=score)) == difference


@pytest.mark.parametrize(
    ("gap", "score", "difference"),
    [(4.0 * 0.99 / 1.01, 0.3, 0), (3.5, 0.3, np.inf), (3.5, 0.29999, 0), (4.1, 0.3, np.inf)],
)
def test_of_two_objects_that_exclude_each_other_just_about_either_may_be_kept(pointpillars, gap, score, difference):
    street = cars(*STREET)
    better, worse = cars((64, -30), score=0.3), cars((64 + gap, -30), score=score if difference == 0 else 0.2)
    if score == 0.29999:  # they score the same: each list has another of them
        assert pointpillars.difference(street + better, street + worse) == difference
    else:
        assert pointpillars.difference(street + better + worse, street + better) == difference


def test_centers_that_are_near_exclude_each_other():
    centerpoint = detector("centerpoint")
    street = cars(*STREET, label=0)
    better = cars((40, -30), score=0.5, label=0)
    for distance, difference in ((2.0, 0), (2.1, np.inf), (1.5, np.inf)):
        worse = cars((40 + distance, -30), score=0.4, label=0)
        assert centerpoint.difference(street + better + worse, street + better) == difference


def test_where_many_differ_it_is_not_rounding(pointpillars):
    street = cars(*STREET)
    assert pointpillars.difference(street, street + cars(*[(66, y) for y in range(-30, 30, 6)], score=0.1)) == np.inf


def test_numbers_that_are_none_differ_infinitely(pointpillars):
    street = cars(*STREET)
    assert pointpillars.difference(street, [replace(street[0], yaw=np.nan), *street[1:]]) == np.inf


def test_the_sdk_knows_no_such_task(task):
    assert task.sdk_pipeline() is None
    assert task.sdk_codebase() == {"type": "mmdet3d", "task": "VoxelDetection", "model_type": "end2end"}


def test_settings_that_make_no_sense_are_refused(pointpillars):
    with pytest.raises(ValueError, match="used_dimensions"):
        replace(pointpillars, used_dimensions=5)
    with pytest.raises(ValueError, match="unique"):
        replace(pointpillars, classes=("Car", "Car"))
    with pytest.raises(UsageError, match="voxelization"):
        build_task({"_target_": "compiler.tasks.voxel_detection.VoxelDetection"})
