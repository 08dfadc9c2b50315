"""Reading point clouds, and what is said about those that are none."""

import cv2
import numpy as np
import pytest

from compiler.config.limits import Limits
from compiler.errors import CompileError
from compiler.tasks.points import read_points
from tests.tasks.scans import FOLDER, SCANS

CLOUD = np.arange(24, dtype=np.float32).reshape(6, 4)


@pytest.fixture
def scan(tmp_path):
    """Write bytes or an array to a file."""

    def write(content):
        path = tmp_path / "scan.bin"
        path.write_bytes(content if isinstance(content, bytes) else content.tobytes())
        return path

    return write


def complaint(source, columns=4, used=4):
    with pytest.raises(CompileError) as error:
        read_points(source, columns, used)
    return error.value


@pytest.mark.parametrize("used", [3, 4])
def test_a_file_and_the_array_in_it_are_the_same_cloud(scan, used):
    for source in (scan(CLOUD), CLOUD, CLOUD.astype(np.float64), CLOUD.astype(">f4"), CLOUD.astype(np.int32)):
        points = read_points(source, 4, used)
        assert (points.dtype, points.flags.c_contiguous) == (np.float32, True)
        np.testing.assert_array_equal(points, CLOUD[:, :used])


def test_an_array_may_have_more_columns_than_are_used_and_not_fewer():
    assert read_points(CLOUD, 5, 3).shape == (6, 3)
    assert "[n, 5]" in complaint(CLOUD, 5, 5).why


@pytest.mark.parametrize("array", [CLOUD[0], CLOUD[None], CLOUD > 3, CLOUD.astype(complex), CLOUD.astype(str)])
def test_other_arrays_are_refused(array):
    assert "no point cloud" in complaint(array).what


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    assert "does not exist" in complaint(tmp_path / "none.bin").what
    assert "folder" in complaint(tmp_path).what


def test_an_empty_cloud_is_refused(scan):
    assert "0 bytes" in complaint(scan(b"")).why
    assert "0 points" in complaint(CLOUD[:0]).why


def test_a_truncated_file_says_what_remains_and_what_would_fit(scan):
    cut = complaint(scan(CLOUD.tobytes()[:-1]))
    assert "5 rows of 4 numbers 15 bytes remain; no number of columns would fit" in cut.why
    other = complaint(scan(np.zeros((7, 5), np.float32)))
    assert "8 rows of 4 numbers 12 bytes remain; 5 or 7 columns would fit" in other.why


def test_an_image_and_a_numpy_file_are_recognised(scan, tmp_path):
    picture = np.zeros((4, 4, 3), np.uint8)
    for suffix, kind in ((".png", "PNG"), (".jpg", "JPEG")):
        assert kind in complaint(scan(cv2.imencode(suffix, picture)[1].tobytes())).why
    np.save(tmp_path / "cloud.npy", CLOUD)
    assert "NumPy" in complaint(tmp_path / "cloud.npy").why


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_counted_and_the_first_is_named(scan, value):
    cloud = CLOUD.copy()
    cloud[[2, 5], 1] = value
    error = complaint(scan(cloud))
    assert error.where.endswith("row 2")
    assert "2 of 6 points" in error.why
    assert "isfinite" in error.fix


def test_only_what_is_used_must_be_finite():
    cloud = CLOUD.copy()
    cloud[:, 3] = np.nan
    assert read_points(cloud, 4, 3).shape == (6, 3)
    assert "not finite" in complaint(cloud).what
    assert "not finite" in complaint(CLOUD.astype(np.float64) + 1e300).what


@pytest.mark.parametrize(("name", "columns"), [("kitti", 4), ("nuscenes", 5)])
def test_the_sample_scans_are_what_the_simulation_gives(name, columns):
    path = FOLDER / f"{name}.bin"
    assert path.stat().st_size < 600_000
    np.testing.assert_allclose(read_points(path, columns, columns), SCANS[name](), atol=2e-3)


def test_a_cloud_of_too_many_points_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "cloud.bin"
    with path.open("wb") as file:
        file.truncate(16 * 11)  # so many zeros
    assert read_points(path, 4, 3, Limits(points=11)).shape == (11, 3)
    cloud = np.zeros((11, 4), np.float32)
    assert read_points(cloud, 4, 3, Limits(points=11)).shape == (11, 3)
    for source in (path, cloud):
        with pytest.raises(CompileError, match="the point cloud is too large") as caught:
            read_points(source, 4, 3, Limits(points=10))
        assert caught.value.why == "it has 11 points, and limits.points is 10"
        assert "limits.points=11" in caught.value.fix


def test_a_sparse_file_of_a_gigabyte_takes_no_memory(tmp_path):
    path = tmp_path / "cloud.bin"
    with path.open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(CompileError, match="the point cloud is too large"):
        read_points(path, 4, 3)
