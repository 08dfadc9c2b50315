"""A small detector and a small pose model, compiled before, and a data set of three photographs for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from compiler import runtime
from tests.bundles import lock_again, small_bundle
from tests.conftest import PHOTOGRAPH
from tests.metrics.drawn import NAMES

BOX = (80, 20, 310, 460)


def quick_detector(folder: Path) -> Path:
    """A detector of COCO's classes that looks at few of its candidates: a test needs no more."""
    bundle = small_bundle(folder, "objects")
    config = bundle / "config.yaml"
    text = config.read_text()
    assert "nms_pre: 30000" in text
    config.write_text(text.replace("nms_pre: 30000", "nms_pre: 400").replace("max_per_img: 300", "max_per_img: 40"))
    lock_again(bundle)
    return bundle


@pytest.fixture(scope="session")
def objects(tmp_path_factory) -> Path:
    """A detector. Not to be changed."""
    return quick_detector(tmp_path_factory.mktemp("bundles") / "objects")


@pytest.fixture(scope="session")
def poses(tmp_path_factory) -> Path:
    """A pose model of COCO's key points. Not to be changed."""
    return small_bundle(tmp_path_factory.mktemp("bundles") / "poses", "pose")


@pytest.fixture(scope="session")
def images(tmp_path_factory) -> Path:
    """A folder of three photographs."""
    folder = tmp_path_factory.mktemp("images")
    photograph = cv2.imread(str(PHOTOGRAPH))
    for name, picture in (("a", photograph), ("b", photograph[:, ::-1]), ("c", photograph[::-1])):
        cv2.imwrite(str(folder / f"{name}.png"), picture)
    return folder


@pytest.fixture(scope="session")
def object_annotations(objects, images) -> Path:
    """What the detector finds best in two of the photographs, and in the third nothing."""
    predictor = runtime.open(objects)
    names = predictor.task.classes.names
    annotations = []
    for image, name in ((4, "a"), (9, "b")):
        for one in predictor(images / f"{name}.png")[:6]:
            x1, y1, x2, y2 = one.box.tolist()
            box = [x1 + 4, y1, x2 - x1, y2 - y1]
            annotations.append(
                {"image_id": image, "category_id": one.label + 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    return _written(images / "objects.json", annotations, categories)


@pytest.fixture(scope="session")
def pose_annotations(poses, images) -> Path:
    """The poses that the model finds in a box of each photograph."""
    predictor = runtime.open(poses)
    x1, y1, x2, y2 = BOX
    annotations = []
    for image, name in ((4, "a"), (9, "b"), (2, "c")):
        (pose,) = predictor(images / f"{name}.png", list(BOX))
        points = [number for x, y in pose.keypoints.tolist() for number in (x, y, 2)]
        annotations.append(
            {
                "image_id": image,
                "category_id": 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": 60_000,
                "iscrowd": 0,
                "keypoints": points,
                "num_keypoints": 17,
            }
        )
    return _written(images / "people.json", annotations, [{"id": 1, "name": "person", "keypoints": list(NAMES)}])


def _written(path: Path, annotations: list[dict[str, Any]], categories: list[dict[str, Any]]) -> Path:
    images = [{"id": image, "file_name": f"{name}.png"} for image, name in ((4, "a"), (9, "b"), (2, "c"))]
    path.write_text(
        json.dumps(
            {
                "images": images,
                "annotations": [{"id": number, **one} for number, one in enumerate(annotations, 1)],
                "categories": categories,
            }
        )
    )
    return path
