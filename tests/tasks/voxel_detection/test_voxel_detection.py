"""Detection in point clouds: from a scan to boxes drawn on it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from compiler.config.sizes import SizeRange
from compiler.errors import CompileError, UsageError
from compiler.proof import proof_of
from compiler.tasks import Sample, build_task
from compiler.tasks.voxel_detection import PreparedVoxels
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
    return task.read(task.sample_source()).source


@pytest.fixture(scope="module")
def outputs(name, task, parity):
    return raw_maps(parity, MODELS[name], task.outputs)


@pytest.fixture(scope="module")
def results(task, outputs):
    return task.decode(outputs, PreparedVoxels({}, 1))


@pytest.fixture(scope="module")
def pointpillars():
    return detector("pointpillars")


def test_what_the_network_is_given_equals_the_originals(name, task, parity):
    with np.load(parity / f"{MODELS[name]}.npz") as golden:
        prepared = task.preprocess(task.read(golden["points"]))
        assert tuple(prepared.tensors) == task.inputs == ("voxels", "num_points", "coors")
        for key, tensor in prepared.tensors.items():
            assert tensor.dtype == golden[key].dtype
            np.testing.assert_array_equal(tensor, golden[key])


def test_a_fixed_engine_gets_its_number_of_voxels(task, points):
    free = task.preprocess(Sample(points)).tensors
    count = len(free["coors"])
    fewer = task.preprocess(Sample(points), SizeRange.exactly((100,))).tensors
    more = task.preprocess(Sample(points), SizeRange.exactly((count + 9,))).tensors
    for key, tensor in free.items():
        np.testing.assert_array_equal(fewer[key], tensor[:100])
        np.testing.assert_array_equal(more[key][:count], tensor)
        np.testing.assert_array_equal(more[key][count:], np.repeat(tensor[-1:], 9, axis=0))


def test_a_dynamic_engine_gets_what_there_is_within_its_bounds(task, points):
    count = len(task.preprocess(Sample(points)).tensors["coors"])
    for low, high, given in ((1, 40000, count), (count + 5, 40000, count + 5), (1, 7, 7)):
        sizes = SizeRange((low,), (low,), (high,), (1,))
        assert len(task.preprocess(Sample(points), sizes).tensors["coors"]) == given


def test_boxes_are_refused(task, points):
    assert task.read(points).boxes is None
    with pytest.raises(CompileError, match="whole point cloud"):
        task.read(points, "0,0,9,9")


def test_a_cloud_in_another_frame_is_refused_and_one_that_is_partly_out_of_range_is_not(task, points):
    elsewhere = points.copy()
    elsewhere[:, 2] += 1000
    with pytest.raises(CompileError) as error:
        task.preprocess(Sample(elsewhere))
    assert "where the model looks" in str(error.value)
    assert "99" in error.value.where
    with pytest.raises(CompileError, match="where the model looks"):
        proof_of(task).samples(Sample(elsewhere), 2, (10,))
    elsewhere[0, :3] = 20, 5, -1
    assert len(task.preprocess(Sample(elsewhere)).tensors["coors"]) == 1
    with pytest.raises(ValueError, match="not"):
        task.preprocess(Sample(points[:, :2]))


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


def test_settings_that_make_no_sense_are_refused(pointpillars):
    with pytest.raises(ValueError, match="used_dimensions"):
        replace(pointpillars, used_dimensions=5)
    with pytest.raises(ValueError, match="unique"):
        replace(pointpillars, classes=("Car", "Car"))
    with pytest.raises(UsageError, match="voxelization"):
        build_task({"_target_": "compiler.tasks.voxel_detection.VoxelDetection"})
