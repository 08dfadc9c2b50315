"""PASCAL VOC's annotations, written by hand from its development kit's."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.datasets import Item, ObjectTruth, read_voc
from compiler.errors import CompileError

OBJECT = """<object><name>{name}</name><pose>Left</pose><truncated>1</truncated><difficult>{difficult}</difficult>
<bndbox><xmin>{x1}</xmin><ymin>240</ymin><xmax>195</xmax><ymax>371</ymax></bndbox>
<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part></object>"""


def written(root: Path, name: str, *objects: str) -> None:
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "Annotations" / f"{name}.xml").write_text(
        f"<annotation><folder>VOC2007</folder>{''.join(objects)}</annotation>"
    )


def test_objects_are_counted_from_zero_and_difficult_ones_ignored(tmp_path):
    dog, person = OBJECT.format(name="dog", difficult=0, x1="48.9"), OBJECT.format(name="person", difficult=1, x1=8)
    written(tmp_path, "000001", dog, person)
    written(tmp_path, "000002")
    (tmp_path / "ImageSets/Main/test.txt").write_text("000002\n000001\n")
    found = read_voc(tmp_path, tmp_path / "ImageSets/Main/test.txt")
    truth = (
        ObjectTruth((47, 239, 194, 370), "dog", area=147 * 131),
        ObjectTruth((7, 239, 194, 370), "person", True, area=187 * 131),
    )
    images = tmp_path / "JPEGImages"
    assert found.items == (Item(images / "000002.jpg", (), "000002"), Item(images / "000001.jpg", truth, "000001"))
    assert len(found.classes) == 20, "VOC's own, where no other is annotated"


def test_without_a_list_all_annotations_count_and_their_own_classes(tmp_path):
    written(tmp_path, "b", OBJECT.format(name="zebra", difficult=0, x1=9))
    written(tmp_path, "a", OBJECT.format(name="ant", difficult=0, x1=9))
    (tmp_path / "JPEGImages/b.png").touch()
    found = read_voc(tmp_path)
    assert [item.path.name for item in found.items] == ["a.jpg", "b.png"]
    assert found.classes == ("ant", "zebra")


def test_a_list_of_a_class_says_after_each_image_whether_it_is_there(tmp_path):
    written(tmp_path, "000001")
    (tmp_path / "dog_test.txt").write_text("000001 -1\n")
    assert [item.identity for item in read_voc(tmp_path, tmp_path / "dog_test.txt").items] == ["000001"]


@pytest.mark.parametrize(
    "content",
    [
        "<annotation><object></annotation>",
        "<annotation><object><name>dog</name></object></annotation>",
        "<html></html>",
        '<!DOCTYPE a [<!ENTITY b "bbbb">]><annotation>&b;</annotation>',
    ],
)
def test_what_is_no_annotation_is_refused(tmp_path, content):
    written(tmp_path, "000001")
    (tmp_path / "Annotations/000001.xml").write_text(content)
    with pytest.raises(CompileError, match="holds no annotations of VOC"):
        read_voc(tmp_path)


def test_a_list_leads_nowhere_else(tmp_path):
    written(tmp_path, "000001")
    (tmp_path / "list.txt").write_text("../../etc/passwd\n")
    with pytest.raises(CompileError, match="holds no list of VOC"):
        read_voc(tmp_path, tmp_path / "list.txt")
