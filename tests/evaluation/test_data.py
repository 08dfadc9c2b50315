"""Data sets by name, by file and by OpenMMLab config."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from compiler.config.instantiate import instantiate
from compiler.config.search import config_folder
from compiler.datasets import Dataset, Item
from compiler.errors import CompileError, UsageError
from compiler.evaluation.dataset_configs import READERS, _read_config, find_dataset, joined, named_configs
from compiler.evaluation.metric_selection import openmmlab_nodes, unknown_evaluators
from compiler.metrics import Metric
from compiler.metrics.coco import CocoDetection
from compiler.metrics.coco_keypoints import CocoKeypoints
from compiler.metrics.voc import VocDetection
from compiler.openmmlab.evaluators import Evaluator
from tests.datasets.test_coco import IMAGES

OBJECT = {"image_id": 139, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12}
COCO = {"images": IMAGES, "annotations": [OBJECT], "categories": [{"id": 1, "name": "person"}]}


@pytest.fixture
def coco(tmp_path) -> Path:
    """A folder laid out as COCO is."""
    root = tmp_path / "coco"
    for folder in ("annotations", "val2017"):
        (root / folder).mkdir(parents=True)
    (root / "annotations/instances_val2017.json").write_text(json.dumps(COCO))
    return root


@pytest.mark.parametrize("file", sorted((config_folder() / "dataset").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_config_of_ours_is_whole(file):
    config = _read_config(file)
    assert config.format in READERS
    assert file.read_text().startswith("# "), "its first line says what it is"
    for node in config.metrics:
        assert isinstance(instantiate(node, Metric, "metric"), Metric)


def test_a_data_set_is_found_by_its_name(coco):
    found = find_dataset("coco", coco)
    assert [item.path for item in found.dataset.items] == [coco / "val2017" / one["file_name"] for one in IMAGES]
    assert found.format == "coco"
    assert not found.metrics, "what is measured is what a model of the task is, in data of this format"


def test_a_name_is_misspelt(coco):
    with pytest.raises(UsageError, match="there is no data set 'cocoo'") as caught:
        find_dataset("cocoo", coco)
    assert "did you mean coco?" in caught.value.fix


def test_a_folder_that_is_missing_or_empty_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CompileError, match="there is no folder data/coco") as caught:
        find_dataset("coco", None)
    assert "data=" in caught.value.fix
    (tmp_path / "empty").mkdir()
    with pytest.raises(CompileError, match="empty is empty"):
        find_dataset("coco", tmp_path / "empty")
    with pytest.raises(CompileError, match="empty is empty"):
        find_dataset(str(tmp_path / "empty"), None)
    (tmp_path / "empty/a.jpg").touch()
    with pytest.raises(CompileError, match="has no annotations"):
        find_dataset(str(tmp_path / "empty"), None)


def test_annotations_of_ones_own(coco, tmp_path):
    path = coco / "annotations/instances_val2017.json"
    beside = find_dataset(str(path), None).dataset.items[0].path
    assert beside == coco / "annotations" / IMAGES[0]["file_name"]
    assert find_dataset(str(path), tmp_path).dataset.items[0].path == tmp_path / IMAGES[0]["file_name"]
    path.write_text("{")
    with pytest.raises(CompileError, match="holds no COCO annotations"):
        find_dataset(str(path), None)


def test_a_data_set_of_ones_own_has_a_config(coco, tmp_path):
    folder = tmp_path / "mine"
    (folder / "dataset").mkdir(parents=True)
    file = folder / "dataset/cups.yaml"
    file.write_text(f"format: coco\ndata: {coco}\nannotations: annotations/instances_val2017.json\n")
    assert len(find_dataset("cups", None, config_dir=folder).dataset.items) == 2
    assert "cups" in named_configs(folder)
    file.write_text("format: cocoa\n")
    with pytest.raises(UsageError, match="there is no format 'cocoa'"):
        find_dataset("cups", None, config_dir=folder)
    file.write_text("format: coco\nimage: val2017\n")
    with pytest.raises(UsageError, match=r"there is no key 'dataset\.image'"):
        find_dataset("cups", None, config_dir=folder)


CONFIG = """
data_root = 'elsewhere/coco/'
val_dataloader = dict(dataset=dict(
    type='CocoDataset', data_root=data_root, ann_file='annotations/instances_val2017.json',
    data_prefix=dict(img='val2017/'), bbox_file=data_root + 'boxes.json'))
"""


def test_the_data_set_of_an_openmmlab_config(coco, tmp_path):
    config = tmp_path / "config.py"
    config.write_text(CONFIG)
    found = find_dataset(str(config), coco)
    assert len(found.dataset.items) == 2
    assert found.dataset.items[0].path.parent == coco / "val2017"
    assert found.detections == coco / "boxes.json", "its root is replaced there too"
    by_bundle = find_dataset("config", coco, openmmlab=(str(config), {}))
    assert by_bundle.dataset == found.dataset
    with pytest.raises(UsageError, match="the bundle was compiled from no OpenMMLab config"):
        find_dataset("config", coco)


def test_a_voc_config_names_its_list_and_its_folder(tmp_path):
    config = tmp_path / "config.py"
    config.write_text(
        "val_dataloader = dict(dataset=dict(type='VOCDataset', data_root='data/VOCdevkit/',\n"
        "    ann_file='VOC2007/ImageSets/Main/test.txt', data_prefix=dict(sub_data_root='VOC2007/')))\n"
    )
    root = tmp_path / "VOCdevkit"
    for folder in ("Annotations", "ImageSets/Main"):
        (root / "VOC2007" / folder).mkdir(parents=True)
    (root / "VOC2007/ImageSets/Main/test.txt").write_text("000001\n")
    (root / "VOC2007/Annotations/000001.xml").write_text("<annotation></annotation>")
    found = find_dataset(str(config), root)
    assert found.format == "voc"
    assert found.dataset.items[0].path == root / "VOC2007/JPEGImages/000001.jpg"


def test_an_openmmlab_config_says_what_is_measured(coco, tmp_path):
    config = tmp_path / "config.py"
    metric = "dict(type='VOCMetric', metric='mAP', iou_thrs=0.7, eval_mode='area')"
    config.write_text(f"{CONFIG}val_evaluator = [{metric}, dict(type='X')]\n")
    found = find_dataset(str(config), coco)
    assert [one.kind for one in found.evaluators] == ["VOCMetric", "X"]
    (caution,) = unknown_evaluators("detection", found.evaluators)
    assert caution == "the config measures X too, which is not measured here"
    (node,) = openmmlab_nodes("detection", found.evaluators)
    assert instantiate(node, Metric, "metric") == VocDetection(iou_thrs=(0.7,), eval_mode="area")
    config.write_text(CONFIG + "val_evaluator = dict(type='mmpose.CocoMetric', score_mode='bbox', nms_mode='none')\n")
    (node,) = openmmlab_nodes("pose-detection", find_dataset(str(config), coco).evaluators)
    assert instantiate(node, Metric, "metric") == CocoKeypoints(score_mode="bbox", nms_mode="none")
    assert openmmlab_nodes("text-detection", ()) == []


@pytest.mark.parametrize(
    ("task", "kinds", "instead"),
    [
        ("detection", ("CityScapesMetric",), "metric=coco or metric=voc"),
        ("pose-detection", ("PCKAccuracy", "AUC"), "metric=coco_keypoints"),
        ("pose-detection", ("VOCMetric",), "metric=coco_keypoints"),
    ],
)
def test_a_metric_that_is_not_known_is_not_replaced_by_another(task, kinds, instead):
    with pytest.raises(CompileError, match=", ".join(kinds)) as caught:
        openmmlab_nodes(task, [Evaluator(kind, {}) for kind in kinds])
    assert caught.value.fix.endswith(instead)


@pytest.mark.parametrize(
    ("task", "kind", "settings"),
    [
        ("detection", "CocoMetric", {"metric": ["proposal"]}),
        ("detection", "CocoMetric", {"metric": ["bbox", "segm"]}),
        ("detection", "VOCMetric", {"metric": "recall"}),
        ("pose-detection", "CocoMetric", {"iou_type": "keypoints_crowd"}),
        ("voxel-detection", "NuScenesMetric", {"modality": {"use_camera": True, "use_lidar": True}}),
        ("text-recognition", "WordMetric", {"valid_symbol": "[^a-z]"}),
    ],
)
def test_a_setting_that_changes_what_is_measured_is_not_dropped(task, kind, settings):
    with pytest.raises(CompileError, match="is not known here with") as caught:
        openmmlab_nodes(task, [Evaluator(kind, settings)])
    assert caught.value.where == f"evaluator.{next(iter(settings))}"


def test_what_a_config_says_as_it_is_by_default_changes_nothing():
    """As MMDetection's and MMPose's configs have it."""
    settings = {"ann_file": "a.json", "metric": "bbox", "format_only": False, "backend_args": None, "iou_thrs": None}
    (node,) = openmmlab_nodes("detection", [Evaluator("CocoMetric", {**settings, "proposal_nums": (100, 1, 10)})])
    assert instantiate(node, Metric, "metric") == CocoDetection(proposal_nums=(100, 1, 10))
    (node,) = openmmlab_nodes("pose-detection", [Evaluator("CocoMetric", {"iou_type": "keypoints", "nms_mode": None})])
    assert instantiate(node, Metric, "metric") == CocoKeypoints()


def test_several_files_are_one_data_set_where_they_number_alike():
    one = Dataset((Item(Path("a.jpg"), identity=1),), ("cup", "spoon"), class_numbers=(1, 2))
    other = replace(one, items=(Item(Path("b.jpg"), identity=2),))
    assert [item.identity for item in joined([one, other], ()).items] == [1, 2]
    named = joined([Dataset(one.items, ("cup",)), Dataset(other.items, ("spoon", "cup"))], ())
    assert named.classes == ("cup", "spoon")
    assert joined([one], ()) == one
    for changed, why in (
        (replace(other, classes=("cup", "fork")), "one number is that of several classes"),
        (replace(other, class_numbers=(1, 3)), "other classes"),
        (replace(other, classes=(), class_numbers=()), "other classes"),
        (replace(other, keypoints=("nose",)), "other key points"),
        (replace(other, items=one.items), "one number to several images"),
    ):
        with pytest.raises(CompileError, match="are no one data set") as caught:
            joined([one, changed], ())
        assert why in caught.value.why


def test_a_folder_of_the_name_of_a_data_set_hides_it_not(coco, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voc2007").mkdir()
    assert find_dataset("coco", coco).format == "coco"
    with pytest.raises(CompileError, match="there is no folder data"):
        find_dataset("voc2007", None)
    with pytest.raises(UsageError, match="lies where it lies"):
        find_dataset("./voc2007", coco)
