"""COCO's annotations, written by hand from https://cocodataset.org/#format-data."""

import json
from pathlib import Path

import pytest

from compiler.datasets import Dataset, Item, KeypointTruth, ObjectTruth, read_coco
from compiler.errors import CompileError

CATEGORIES = [
    {"id": 18, "name": "dog", "supercategory": "animal"},
    {"id": 1, "name": "person", "supercategory": "person", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]},
]
IMAGES = [
    {"id": 139, "file_name": "000000000139.jpg", "width": 640, "height": 426},
    {"id": 285, "file_name": "000000000285.jpg", "width": 586, "height": 640},
]


def written(folder: Path, annotations, categories=CATEGORIES, images=IMAGES) -> Path:
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def test_an_image_has_its_objects_with_their_classes_and_key_points(tmp_path):
    person = {
        "image_id": 139, "category_id": 1, "bbox": [412.8, 157.6, 53.0, 138.0], "area": 2913.1, "iscrowd": 0,
        "keypoints": [427, 170, 2, 0, 0, 0], "num_keypoints": 1,
    }  # fmt: skip
    crowd = {"image_id": 139, "category_id": 18, "bbox": [1, 2, 3, 4], "area": 9, "iscrowd": 1}
    found = read_coco(written(tmp_path, [person, crowd]), Path("val2017"))
    box = (412.8, 157.6, 412.8 + 53.0, 157.6 + 138.0)
    assert found == Dataset(
        items=(
            Item(
                Path("val2017/000000000139.jpg"),
                (
                    ObjectTruth(box, "person", False, 2913.1, (KeypointTruth(427, 170, 2), KeypointTruth(0, 0, 0))),
                    ObjectTruth((1, 2, 4, 6), "dog", True, 9),
                ),
                139,
            ),
            Item(Path("val2017/000000000285.jpg"), identity=285),
        ),
        classes=("person", "dog"),
        keypoints=("nose", "tail"),
        class_numbers=(1, 18),
    )
    assert found.items[0].boxes == (box,), "a crowd is not looked at"
    assert found.items[1].boxes is None


def test_classes_need_not_be_told_apart(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": IMAGES, "annotations": [{"image_id": 285, "bbox": [0, 0, 2, 5]}]}))
    found = read_coco(path, tmp_path)
    assert found.items[1].truth == (ObjectTruth((0, 0, 2, 5), area=10),)
    assert found.classes == ()


@pytest.mark.parametrize(
    ("changes", "label", "area"),
    [
        ({}, "", 10),
        ({"category_id": None, "area": None, "keypoints": None, "iscrowd": None}, "", 10),
        ({"area": "large"}, "", 10),
        ({"area": 0}, "", 0),
        ({"category_id": 18, "area": 7.5}, "dog", 7.5),
    ],
)
def test_what_an_annotation_does_not_tell_is_left_open(tmp_path, changes, label, area):
    path = written(tmp_path, [{"image_id": 285, "bbox": [0, 0, 2, 5], **changes}])
    assert read_coco(path, tmp_path).items[1].truth == (ObjectTruth((0, 0, 2, 5), label, area=area),)


def test_there_may_be_no_categories(tmp_path):
    path = written(tmp_path, [{"image_id": 285, "bbox": [0, 0, 2, 5], "category_id": 18}], categories=None)
    assert read_coco(path, tmp_path).items[1].truth == (ObjectTruth((0, 0, 2, 5), area=10),)


@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        ({"category_id": 1, "bbox": [1, 2, 3, 4]}, "KeyError: 'image_id'"),
        ({"image_id": 139, "category_id": 99, "bbox": [1, 2, 3, 4]}, "KeyError: 99"),
        ({"image_id": 139, "category_id": 1, "bbox": [1, 2, 3]}, "ValueError"),
        ({"image_id": 139, "category_id": 1, "bbox": ["a", 2, 3, 4]}, "ValueError"),
        ({"image_id": 139, "category_id": 1, "bbox": [float("nan"), 2, 3, 4]}, "no number of pixels"),
        ({"image_id": 139, "category_id": 1, "bbox": [1, 2, 1e30, 4]}, "no number of pixels"),
        ({"image_id": 139, "category_id": 1, "bbox": [1, 2, 3, 4], "area": float("inf")}, "no number of square pixels"),
        ({"image_id": 139, "category_id": 1, "bbox": [1, 2, 3, 4], "keypoints": [1, 1e9, 2]}, "no number of pixels"),
        ({"image_id": 139, "category_id": 1, "bbox": [1, 2, 3, 4], "keypoints": [1, 2]}, "no triples"),
        ("no annotation", "TypeError"),
    ],
)
def test_what_is_no_annotation_is_named_with_its_file(tmp_path, annotation, why):
    path = written(tmp_path, [annotation])
    with pytest.raises(CompileError, match=r"instances\.json holds no COCO annotations") as caught:
        read_coco(path, tmp_path)
    assert caught.value.where == str(path)
    assert why in caught.value.why


def test_categories_of_one_name_cannot_be_told_apart(tmp_path):
    twice = [{"id": 1, "name": "dog"}, {"id": 18, "name": "dog"}]
    with pytest.raises(CompileError) as caught:
        read_coco(written(tmp_path, [], categories=twice), tmp_path)
    assert "2 classes are called 'dog'" in caught.value.why
    once = [{"id": 1, "name": "dog"}, {"id": 18, "name": "Dog"}]
    assert read_coco(written(tmp_path, [], categories=once), tmp_path).classes == ("dog", "Dog")


@pytest.mark.parametrize("content", ["", "[]", '{"annotations": []}', "[" * 100_000])
def test_what_is_no_file_of_annotations_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(CompileError, match="holds no COCO annotations"):
        read_coco(tmp_path / "a.json", tmp_path)
    with pytest.raises(CompileError, match="holds no COCO annotations"):
        read_coco(tmp_path / "missing.json", tmp_path)
