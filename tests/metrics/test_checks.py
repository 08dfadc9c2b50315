"""What is written for a test server: numbers alone, and files that lie where they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compiler.datasets import Dataset, Item
from compiler.errors import CompileError
from compiler.metrics.coco import CocoDetection
from compiler.metrics.coco_keypoints import CocoKeypoints
from compiler.metrics.kitti import Kitti
from compiler.metrics.nuscenes import NuScenes
from compiler.metrics.voc import VocDetection
from compiler.tasks.detection import Detection
from tests.metrics import test_coco_keypoints as people
from tests.metrics import test_kitti as kitti
from tests.metrics import test_nuscenes as nuscenes

NAN = float("nan")


def box(*corners: float, score: float = 0.5) -> Detection:
    return Detection(np.float32(corners), score, 0, "cat")


CATS = Dataset((Item(Path("a.jpg"), identity=7),), ("cat",))


@pytest.mark.parametrize(
    ("metric", "dataset", "found", "told"),
    [
        (CocoDetection(), CATS, box(0, 0, NAN, 9), ("bbox", "image 7")),
        (CocoDetection(), CATS, box(0, 0, 9, 9, score=float("inf")), ("score", "image 7")),
        (VocDetection(), CATS, box(0, 0, 9, 9, score=NAN), ("score", "image a.jpg")),
        (VocDetection(), CATS, box(0, 0, 9, NAN), ("box", "image a.jpg")),
        (
            CocoKeypoints(),
            people.of_images((people.person(),)),
            people.pose_of(people.person(), NAN),
            ("keypoints", "1"),
        ),
        (
            Kitti(("Car",)),
            Dataset((Item(Path("000007.bin"), frame=kitti.AHEAD),)),
            kitti.found(0, score=NAN),
            ("score", "image 000007"),
        ),
        (NuScenes(), nuscenes.one_sample(), nuscenes.detection(yaw=NAN), ("rotation", "image sample")),
    ],
)
def test_what_is_no_number_is_named_and_not_written(tmp_path, metric, dataset, found, told):
    with pytest.raises(CompileError, match=f"a result has a {told[0]} that is no finite number") as caught:
        metric.write([[found]], dataset, tmp_path)
    assert told[1] in caught.value.where
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a/b", "..", ".", "", "/etc/passwd", "..\\a", "a\n", "a\0b"])
def test_a_class_that_would_lead_elsewhere_names_no_file(tmp_path, name):
    folder = tmp_path / "results"
    folder.mkdir()
    with pytest.raises(CompileError, match="is no name of a file") as caught:
        VocDetection(classes=("cat", name)).write([[]], CATS, folder)
    assert repr(name) in caught.value.what
    assert [path.name for path in tmp_path.rglob("*")] == ["results"]


@pytest.mark.parametrize("name", ["potted plant", "..a", "a.b", "Ünïcode"])
def test_any_plain_name_does(tmp_path, name):
    (path,) = VocDetection(classes=(name,)).write([[]], CATS, tmp_path)
    assert path == tmp_path / f"comp4_det_test_{name}.txt"
    assert path.is_file()
