"""What the published configs validate on, and in which format it is."""

from pathlib import Path

import pytest

from compiler.errors import CompileError
from compiler.openmmlab.datasets import AnnotationFile, annotation_files
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
    assert annotation_files(file_of(model), {}) == (AnnotationFile(Path(annotations), Path(images), kind),)


def test_several_datasets_are_all_named():
    found = annotation_files(file_of("crnn"), {})
    assert len(found) == 6
    assert AnnotationFile(Path("data/icdar2015/textrecog_test.json"), Path("data/icdar2015"), "mmocr") in found


def test_a_config_without_datasets_names_the_place(tmp_path):
    (tmp_path / "model.py").write_text("model = dict(type='CRNN')")
    with pytest.raises(CompileError, match="names no annotations") as caught:
        annotation_files(tmp_path / "model.py", {})
    assert caught.value.where == f"{tmp_path}/model.py: val_dataloader.dataset.ann_file"
