"""Points are sorted into the voxels that MMDetection3D sorts them into, in its order."""

import json

import numpy as np
import pytest

from compiler.tasks.voxel_detection.voxelization import Voxelization

UNIT = Voxelization((1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 4.0, 3.0, 2.0), 2, 3)


@pytest.fixture(scope="module")
def golden(parity):
    with np.load(parity / "decode" / "voxelization.npz") as arrays:
        return json.loads((parity / "decode" / "voxelization.json").read_text())["cases"], dict(arrays)


def built(case, max_voxels):
    return Voxelization(tuple(case["voxel_size"]), tuple(case["point_cloud_range"]), case["max_num_points"], max_voxels)


def test_grid_counts_voxels_along_x_y_z():
    assert UNIT.grid == (4, 3, 2)


@pytest.mark.parametrize("name", ["kitti", "few_points", "few_voxels", "cubes"])
def test_voxels_equal_the_originals_bit_for_bit(golden, name):
    cases, arrays = golden
    found = built(cases[name], cases[name]["max_voxels"])(arrays["points"])
    for field in ("voxels", "num_points", "coors"):
        ours, theirs = getattr(found, field), arrays[f"{name}.{field}"]
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_the_place_of_every_point_equals_that_of_dynamic_voxelisation(golden):
    cases, arrays = golden
    kitti = built(cases["kitti"], 1)
    np.testing.assert_array_equal(kitti.cells(arrays["points"]), arrays["dynamic.coors"])


@pytest.mark.parametrize("name", ["pointpillars_kitti3", "centerpoint_pillar02"])
def test_inputs_of_the_networks_equal_the_originals(parity, name):
    case = json.loads((parity / f"{name}.json").read_text())["input"]["voxelization"]
    with np.load(parity / f"{name}.npz") as arrays:
        found = built(case, case["max_voxels"][1])(arrays["points"])
        np.testing.assert_array_equal(found.voxels, arrays["voxels"])
        np.testing.assert_array_equal(found.num_points, arrays["num_points"])
        np.testing.assert_array_equal(found.coors, arrays["coors"][:, 1:])


def test_voxels_come_in_the_order_of_their_first_points_and_later_points_still_enter_them():
    points = np.array(
        [[3.5, 0, 0], [0, 0, 0], [3, 0.5, 0], [1, 2, 1.5], [2, 2, 0], [3.9, 0, 0], [0.5, 0, 0]], np.float32
    )
    found = UNIT(points)
    assert found.coors.tolist() == [[0, 0, 3], [0, 0, 0], [1, 2, 1]]  # the fourth voxel is one too many
    assert found.num_points.tolist() == [2, 2, 1]  # the third point of the first voxel is dropped
    assert found.voxels[:, :, 0].tolist() == [[3.5, 3.0], [0.0, 0.5], [1.0, 0.0]]


def test_the_upper_border_is_outside_and_the_lower_inside():
    border = np.array(
        [[4, 0, 0], [0, 3, 0], [0, 0, 2], [-1e-6, 0, 0], [0, 0, 0], [np.nextafter(np.float32(4), np.float32(0)), 0, 0]],
        np.float32,
    )
    assert UNIT.cells(border)[:, 2].tolist() == [-1, -1, -1, -1, 0, 3]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_what_is_no_place_is_outside(value):
    assert not len(UNIT(np.array([[value, 1, 1]], np.float32)).voxels)


def test_no_points_make_no_voxels():
    empty = UNIT(np.zeros((0, 3), np.float32))
    assert empty.voxels.shape == (0, 2, 3)
    assert empty.coors.shape == (0, 3)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="positive"):
        Voxelization((0.0, 1.0, 1.0), (0.0, 0.0, 0.0, 4.0, 3.0, 2.0), 2, 3)
    with pytest.raises(ValueError, match="holds no voxel"):
        Voxelization((1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 4.0, -3.0, 2.0), 2, 3)
