"""Objects in point clouds, written by hand from what KITTI and nuScenes say of theirs."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from compiler.datasets import SolidTruth, read_kitti, read_nuscenes
from compiler.datasets.dataset import CameraFrame, WorldFrame
from compiler.errors import CompileError, UsageError
from compiler.tasks.images import write_image

# The camera looks along x of the scanner, its x is to the right and its y downwards; it stands 0.27 m before it.
CALIBRATION = """P2: 7.2e+02 0 6.1e+02 4.5e+01 0 7.2e+02 1.7e+02 2.2e-01 0 0 1 2.7e-03
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27
"""
CAR = "Car 0.10 1 -1.57 614.2 181.8 727.3 284.8 1.57 1.73 4.15 1.00 1.75 13.22 {rotation}"
DONT_CARE = "DontCare -1 -1 -10 503.9 169.7 590.6 190.1 -1 -1 -1 -1000 -1000 -1000 -10"


def kitti(folder: Path, *labels: str, calibration: str = CALIBRATION) -> Path:
    for name, content in {"calib": calibration, "label_2": "\n".join(labels)}.items():
        (folder / name).mkdir()
        (folder / name / "000001.txt").write_text(content)
    (folder / "velodyne").mkdir()
    (folder / "velodyne/000001.bin").touch()
    return folder


def test_kittis_objects_are_moved_into_the_frame_of_the_scanner(tmp_path):
    found = read_kitti(kitti(tmp_path, CAR.format(rotation=-math.pi / 2), DONT_CARE))
    (item,) = found.items
    assert item.path == tmp_path / "velodyne/000001.bin"
    assert found.classes == ("Car",)
    car, dont_care = item.truth
    assert car.bottom == pytest.approx((13.22 + 0.27, -1.00, -1.75 - 0.08))
    assert car.size == (4.15, 1.73, 1.57)
    assert car.yaw == pytest.approx(0), "it is driven away from the camera: along the scanner's x"
    assert (car.label, car.truncation, car.occlusion) == ("Car", 0.1, 1)
    assert car.image_box == (614.2, 181.8, 727.3, 284.8)
    assert dont_care.ignore
    assert item.boxes is None, "clouds are looked at as a whole"
    assert item.identity == "000001"
    assert isinstance(item.frame, CameraFrame)
    np.testing.assert_allclose(np.array(item.frame.to_camera) @ (*car.bottom, 1), (1.00, 1.75, 13.22, 1))
    assert item.frame.projection[0] == (720, 0, 610, 45)
    assert item.frame.size is None, "there is no image"


def test_kittis_images_are_looked_at_for_their_sizes_where_they_are_there(tmp_path):
    root = kitti(tmp_path, DONT_CARE)
    (root / "image_2").mkdir()
    write_image(root / "image_2/000001.png", np.zeros((37, 122, 3), np.uint8))
    (item,) = read_kitti(root).items
    assert item.frame.size == (122, 37)


def test_kitti_without_an_image_has_no_camera(tmp_path):
    (item,) = read_kitti(kitti(tmp_path, DONT_CARE, calibration=CALIBRATION.partition("\n")[2])).items
    assert item.frame is None


def test_kittis_frames_that_are_tested_on_have_no_labels(tmp_path):
    root = kitti(tmp_path, DONT_CARE)
    (root / "label_2/000001.txt").unlink()
    with pytest.raises(CompileError, match=r"000001\.txt holds no labels of KITTI"):
        read_kitti(root)
    (root / "label_2").rmdir()
    assert read_kitti(root).items[0].truth == ()


def test_kittis_scans_may_lie_in_another_folder(tmp_path):
    root = kitti(tmp_path, DONT_CARE)
    (root / "velodyne").rename(root / "velodyne_reduced")
    assert not read_kitti(root).items
    (item,) = read_kitti(root, scans="velodyne_reduced").items
    assert item.path == root / "velodyne_reduced/000001.bin"


@pytest.mark.parametrize(("rotation", "yaw"), [(0, -math.pi / 2), (math.pi / 2, -math.pi), (3.1, -3.1 + 1.5 * math.pi)])
def test_a_rotation_about_the_cameras_y_is_one_about_the_scanners_z(tmp_path, rotation, yaw):
    (item,) = read_kitti(kitti(tmp_path, CAR.format(rotation=rotation))).items
    assert item.truth[0].yaw == pytest.approx(yaw)


@pytest.mark.parametrize("frame", ["../../secret", "/etc/passwd", "a/b", ".."])
def test_a_frame_leads_to_no_other_folder(tmp_path, frame):
    kitti(tmp_path, DONT_CARE)
    (tmp_path / "frames.txt").write_text(f"000001\n{frame}\n")
    with pytest.raises(CompileError, match=r"frames\.txt holds no frames of KITTI"):
        read_kitti(tmp_path, tmp_path / "frames.txt")


def test_a_list_chooses_frames(tmp_path):
    root = kitti(tmp_path, DONT_CARE)
    (tmp_path / "val.txt").write_text("000001\n")
    assert len(read_kitti(root, tmp_path / "val.txt").items) == 1
    (tmp_path / "val.txt").write_text("000002\n")
    with pytest.raises(CompileError, match=r"000002\.txt holds no calibration of KITTI"):
        read_kitti(root, tmp_path / "val.txt")


@pytest.mark.parametrize(
    ("label", "calibration", "what"),
    [
        ("Car 0 0", CALIBRATION, "no labels of KITTI"),
        (CAR.format(rotation="north"), CALIBRATION, "no labels of KITTI"),
        (DONT_CARE, "R0_rect: 1 0 0", "no calibration of KITTI"),
        (DONT_CARE, "nothing", "no calibration of KITTI"),
    ],
)
def test_what_is_no_label_or_calibration_of_kittis_is_refused(tmp_path, label, calibration, what):
    with pytest.raises(CompileError, match=what):
        read_kitti(kitti(tmp_path, label, calibration=calibration))


def about_z(angle: float) -> list[float]:
    return [math.cos(angle / 2), 0, 0, math.sin(angle / 2)]


def nuscenes(folder: Path, **changes) -> Path:
    """Write one sample: a car 10 m before the vehicle, which stands at (100, 50) and looks along the world's y."""
    quarter = math.pi / 2
    tables = {
        "sensor": [{"token": "s", "channel": "LIDAR_TOP"}, {"token": "c", "channel": "CAM_FRONT"}],
        "calibrated_sensor": [
            # The scanner stands 1 m before the middle and 2 m above the ground, and its y is forward.
            {"token": "cs", "sensor_token": "s", "translation": [1, 0, 2], "rotation": about_z(-quarter)},
            {"token": "cc", "sensor_token": "c", "translation": [0, 0, 0], "rotation": about_z(0)},
        ],
        "ego_pose": [{"token": "e", "translation": [100, 50, 0], "rotation": about_z(quarter)}],
        "category": [{"token": "car", "name": "vehicle.car"}, {"token": "cat", "name": "animal"}],
        "instance": [{"token": "i", "category_token": "car"}, {"token": "j", "category_token": "cat"}],
        "sample": [
            {"token": "1", "timestamp": 5_000_000, "scene_token": "first"},
            {"token": "2", "timestamp": 5_500_000, "scene_token": "second"},
        ],
        "scene": [{"token": "first", "name": "scene-0103"}, {"token": "second", "name": "scene-0061"}],
        "attribute": [{"token": "moving", "name": "vehicle.moving"}],
        "sample_data": [
            {"token": "d", "sample_token": "1", "ego_pose_token": "e", "calibrated_sensor_token": "cs",
             "timestamp": 5, "is_key_frame": True, "filename": "samples/LIDAR_TOP/a.pcd.bin"},
            {"token": "f", "sample_token": "1", "ego_pose_token": "e", "calibrated_sensor_token": "cs",
             "timestamp": 6, "is_key_frame": False, "filename": "sweeps/LIDAR_TOP/b.pcd.bin"},
            {"token": "g", "sample_token": "1", "ego_pose_token": "e", "calibrated_sensor_token": "cc",
             "timestamp": 5, "is_key_frame": True, "filename": "samples/CAM_FRONT/c.jpg"},
        ],
        "sample_annotation": [
            {"token": "a", "sample_token": "1", "instance_token": "i", "translation": [100, 60, 0.8],
             "size": [1.9, 4.5, 1.6], "rotation": about_z(quarter), "num_lidar_pts": 9, "num_radar_pts": 0,
             "attribute_tokens": ["moving"], "prev": "", "next": "l"},
            {"token": "l", "sample_token": "2", "instance_token": "i", "translation": [100, 63, 0.8],
             "size": [1.9, 4.5, 1.6], "rotation": about_z(quarter), "num_lidar_pts": 9, "num_radar_pts": 0,
             "attribute_tokens": [], "prev": "a", "next": ""},
            {"token": "b", "sample_token": "1", "instance_token": "i", "translation": [0, 0, 0],
             "size": [1, 2, 3], "rotation": about_z(0), "num_lidar_pts": 0, "num_radar_pts": 0},
            {"token": "k", "sample_token": "1", "instance_token": "j", "translation": [0, 0, 0],
             "size": [1, 2, 3], "rotation": about_z(0), "num_lidar_pts": 4, "num_radar_pts": 0},
        ],
    }  # fmt: skip
    (folder / "v1.0-mini").mkdir()
    for name, records in {**tables, **changes}.items():
        (folder / f"v1.0-mini/{name}.json").write_text(json.dumps(records))
    return folder


def test_nuscenes_objects_are_moved_from_the_world_into_the_frame_of_the_scanner(tmp_path):
    found = read_nuscenes(nuscenes(tmp_path))
    (item,) = found.items
    assert item.path == tmp_path / "samples/LIDAR_TOP/a.pcd.bin", "key frames of the scanner alone"
    assert item.identity == "1"
    car, unseen, animal = item.truth
    np.testing.assert_allclose(car.bottom, (0, 9, -2), atol=1e-9)
    assert car.size == (4.5, 1.9, 1.6)
    assert car.yaw == pytest.approx(math.pi / 2), "it is driven forward: along the scanner's y"
    assert (car.label, car.ignore, car.attribute) == ("car", False, "vehicle.moving")
    np.testing.assert_allclose(car.velocity, (0, 6, 0), atol=1e-9, err_msg="3 m forward in half a second")
    assert (unseen.label, unseen.ignore) == ("car", True), "no point hits it"
    assert (unseen.velocity, unseen.attribute) == (None, ""), "it is in one sample alone"
    assert (animal.label, animal.ignore) == ("animal", True), "nobody looks for it"
    assert len(found.classes) == 10
    assert all(isinstance(one, SolidTruth) for one in item.truth)
    assert isinstance(item.frame, WorldFrame)
    vehicle = np.array(item.frame.to_world) @ np.array(item.frame.to_vehicle) @ (*car.bottom, 1)
    np.testing.assert_allclose(vehicle, (100, 60, 0, 1), atol=1e-9, err_msg="back in the world")


def test_what_was_not_seen_for_long_has_no_velocity(tmp_path):
    samples = [{"token": "1", "timestamp": 0}, {"token": "2", "timestamp": 1_500_001}]
    (item,) = read_nuscenes(nuscenes(tmp_path, sample=samples)).items
    assert item.truth[0].velocity is None


def test_a_split_of_nuscenes_chooses_scenes(tmp_path):
    root = nuscenes(tmp_path)
    assert len(read_nuscenes(root, split="mini_val").items) == 1
    assert not read_nuscenes(root, split="mini_train").items
    with pytest.raises(UsageError, match="no split 'mini_vla'") as caught:
        read_nuscenes(root, split="mini_vla")
    assert "mini_val" in caught.value.fix


def test_a_missing_table_and_a_token_that_leads_nowhere_are_named(tmp_path):
    with pytest.raises(CompileError, match=r"sensor\.json holds no table of nuScenes"):
        read_nuscenes(tmp_path)
    with pytest.raises(CompileError, match=r"v1\.0-mini holds no tables of nuScenes") as caught:
        read_nuscenes(nuscenes(tmp_path, instance=[]))
    assert "KeyError: 'i'" in caught.value.why


@pytest.mark.parametrize("records", [{"token": 1}, [{"name": "no token"}], 5])
def test_a_table_of_another_form_is_refused(tmp_path, records):
    with pytest.raises(CompileError, match=r"category\.json holds no table of nuScenes"):
        read_nuscenes(nuscenes(tmp_path, category=records))
