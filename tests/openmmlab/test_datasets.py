"""What the published configs validate on, and in which format it is."""

from pathlib import Path

import pytest

from compiler.errors import CompileError
from compiler.openmmlab.datasets import AnnotationFile, annotation_files
from compiler.openmmlab.evaluators import evaluators
from tests.openmmlab.published import file_of

PUBLISHED = {
    "simcc-res50": ("data/coco/annotations/person_keypoints_val2017.json", "data/coco/val2017", "coco"),
    "rtmdet-tiny": ("data/coco/annotations/instances_val2017.json", "data/coco/val2017", "coco"),
    "dbnet": ("data/icdar2015/textdet_test.json", "data/icdar2015", "mmocr"),
    "pointpillars": ("data/kitti/kitti_infos_val.pkl", "data/kitti", "pickle"),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_a_config_says_what_it_validates_on(model):
    annotations, images, kind = PUBLISHED[model]
    (found,) = annotation_files(file_of(model), {})
    assert (found.annotations, found.images, found.format) == (Path(annotations), Path(images), kind)


def test_a_pose_config_says_where_people_are_looked_for():
    (found,) = annotation_files(file_of("simcc-res50"), {})
    boxes = "person_detection_results/COCO_val2017_detections_AP_H_56_person.json"
    assert found.detections == Path("data/coco") / boxes
    (moved,) = annotation_files(file_of("simcc-res50"), {}, Path("/data"))
    assert (moved.annotations.parent, moved.detections) == (Path("/data/annotations"), Path("/data") / boxes)
    assert annotation_files(file_of("rtmdet-tiny"), {})[0].detections is None


def test_a_config_says_how_it_measures():
    (pose,) = evaluators(file_of("simcc-res50"), {})
    assert pose.kind == "CocoMetric"
    assert {one.kind for one in evaluators(file_of("crnn"), {})} >= {"WordMetric"}
    assert [one.kind for one in evaluators(file_of("dbnet"), {})] == ["HmeanIOUMetric"]


def test_several_datasets_are_all_named():
    found = annotation_files(file_of("crnn"), {})
    assert len(found) == 6
    assert AnnotationFile(Path("data/icdar2015/textrecog_test.json"), Path("data/icdar2015"), "mmocr") in found


def test_a_config_without_datasets_names_the_place(tmp_path):
    (tmp_path / "model.py").write_text("model = dict(type='CRNN')")
    with pytest.raises(CompileError, match="names no annotations") as caught:
        annotation_files(tmp_path / "model.py", {})
    assert caught.value.where == f"{tmp_path}/model.py: val_dataloader.dataset.ann_file"
