"""Annotations of text, written by hand from what MMOCR and ICDAR say of theirs."""

import json
from pathlib import Path

import pytest

from compiler.datasets import Item, TextTruth, read_icdar, read_icdar_words, read_mmocr, read_mmocr_lines
from compiler.datasets.annotations import read_annotations
from compiler.errors import CompileError

QUAD = ((377.0, 117.0), (463.0, 117.0), (465.0, 130.0), (378.0, 130.0))


def mmocr(folder: Path, *instances: dict) -> Path:
    """Write annotations as MMOCR's data preparer does."""
    content = {
        "metainfo": {"dataset_type": "TextDetDataset", "task_name": "textdet"},
        "data_list": [{"img_path": "imgs/img_1.jpg", "height": 720, "width": 1280, "instances": instances}],
    }
    path = folder / "textdet_test.json"
    path.write_text(json.dumps(content))
    return path


def test_mmocrs_texts_have_polygons_and_may_be_ignored(tmp_path):
    read = {"polygon": [377, 117, 463, 117, 465, 130, 378, 130], "bbox": [377, 117, 465, 130], "bbox_label": 0}
    boxed = {"bbox": [1, 2, 3, 4], "text": "###", "ignore": True}
    (item,) = read_mmocr(mmocr(tmp_path, read, boxed), Path("icdar2015")).items
    assert item.path == Path("icdar2015/imgs/img_1.jpg")
    assert item.truth == (
        TextTruth(None, QUAD),
        TextTruth("###", ((1, 2), (3, 2), (3, 4), (1, 4)), ignore=True),
    )
    assert item.boxes == ((377, 117, 465, 130),)


def test_mmocrs_words_are_whole_images(tmp_path):
    (item,) = read_mmocr(mmocr(tmp_path, {"text": "Tiredness"}), tmp_path).items
    assert item.truth == (TextTruth("Tiredness"),)
    assert item.boxes is None


def test_where_no_word_has_an_area_nothing_is_looked_at_and_not_the_whole_image(tmp_path):
    flat, ignored = {"polygon": [0, 5, 9, 5, 4, 5], "text": "a"}, {"bbox": [1, 2, 3, 4], "ignore": True}
    (item,) = read_mmocr(mmocr(tmp_path, flat, ignored), tmp_path).items
    assert item.boxes == ()
    (item,) = read_mmocr(mmocr(tmp_path), tmp_path).items
    assert item.boxes is None, "nobody says where something is"


def test_mmocrs_lines_are_files_and_texts(tmp_path):
    path = tmp_path / "label.txt"
    path.write_text('img1.jpg OpenMMLab\n\nimg 2\n{"filename": "b.jpg", "text": "two words"}\n')
    assert read_mmocr_lines(path, Path("words")).items == (
        Item(Path("words/img1.jpg"), (TextTruth("OpenMMLab"),)),
        Item(Path("words/img"), (TextTruth("2"),)),
        Item(Path("words/b.jpg"), (TextTruth("two words"),)),
    )
    path.write_text("img1.jpg\n")
    with pytest.raises(CompileError, match="holds no words of MMOCR") as caught:
        read_mmocr_lines(path, tmp_path)
    assert "'img1.jpg' has no text" in caught.value.why


@pytest.mark.parametrize("instance", [{"polygon": [1, 2, 3]}, {"polygon": [1, 2, 3, 4]}, {"bbox": [1, 2]}, "text"])
def test_what_is_no_text_of_mmocrs_is_refused(tmp_path, instance):
    path = mmocr(tmp_path, instance)
    with pytest.raises(CompileError, match="holds no annotations of MMOCR") as caught:
        read_mmocr(path, tmp_path)
    assert caught.value.where == str(path)


def test_what_a_polygon_costs_is_bounded(tmp_path):
    corners = [number for place in range(257) for number in (place % 2, place)]
    (item,) = read_mmocr(mmocr(tmp_path, {"polygon": corners[2:]}), tmp_path).items
    assert len(item.truth[0].polygon) == 256
    with pytest.raises(CompileError) as caught:
        read_mmocr(mmocr(tmp_path, {"polygon": corners}), tmp_path)
    assert "imgs/img_1.jpg: a polygon has 257 corners, and at most 256 are taken" in caught.value.why


@pytest.mark.parametrize("number", [1e30, float("inf"), float("nan"), True, None])
@pytest.mark.parametrize("shape", ["polygon", "bbox"])
def test_what_is_no_coordinate_of_mmocrs_is_refused(tmp_path, shape, number):
    numbers = [0, 0, 9, 0, 9, 9, 0, number] if shape == "polygon" else [0, 0, 9, number]
    with pytest.raises(CompileError) as caught:
        read_mmocr(mmocr(tmp_path, {shape: numbers}), tmp_path)
    assert "imgs/img_1.jpg" in caught.value.why
    assert "no number of pixels" in caught.value.why


def test_an_error_names_the_format_that_a_file_is_of(tmp_path):
    path = mmocr(tmp_path, {"polygon": [1, 2, 3, 4]})
    with pytest.raises(CompileError, match="holds no annotations of MMOCR") as caught:
        read_annotations(path, tmp_path)
    assert "at least three points" in caught.value.why
    path.write_text('{"images": [{}]}')
    with pytest.raises(CompileError, match="holds no COCO annotations"):
        read_annotations(path, tmp_path)
    path = mmocr(tmp_path, {"text": "Tiredness"})
    assert read_annotations(path, tmp_path) == read_mmocr(path, tmp_path)


def icdar(folder: Path, text: str) -> tuple[Path, Path]:
    """Write one image and its texts, with the mark that ICDAR 2015 begins its files with."""
    (folder / "images").mkdir()
    (folder / "gt").mkdir()
    (folder / "images/img_1.jpg").touch()
    (folder / "gt/gt_img_1.txt").write_text(text, encoding="utf-8-sig")
    return folder / "images", folder / "gt"


def test_icdar_2015_has_four_corners_and_a_mark_for_what_cannot_be_read(tmp_path):
    lines = "377,117,463,117,465,130,378,130,Genaxis, Theatre\r\n374,155,409,155,409,170,374,170,###\r\n"
    (item,) = read_icdar(*icdar(tmp_path, lines)).items
    assert item.path == tmp_path / "images/img_1.jpg"
    readable, unreadable = item.truth
    assert readable == TextTruth("Genaxis, Theatre", QUAD)
    assert (unreadable.text, unreadable.ignore) == ("###", True)


@pytest.mark.parametrize("line", ['38, 43, 920, 215, "Tiredness"', '38 43 920 215 "Tiredness"'])
def test_icdar_2013_has_two_corners(tmp_path, line):
    (item,) = read_icdar(*icdar(tmp_path, line)).items
    assert item.truth == (TextTruth("Tiredness", ((38, 43), (920, 43), (920, 215), (38, 215))),)


def test_an_image_without_texts_and_one_without_annotations(tmp_path):
    images, texts = icdar(tmp_path, "")
    assert read_icdar(images, texts).items == (Item(images / "img_1.jpg"),)
    (images / "img_2.jpg").touch()
    with pytest.raises(CompileError, match=r"gt_img_2\.txt holds no texts of ICDAR"):
        read_icdar(images, texts)


@pytest.mark.parametrize("line", ["1,2,3", "a,b,c,d,text", "nothing"])
def test_what_is_no_text_of_icdars_is_refused(tmp_path, line):
    with pytest.raises(CompileError, match=r"gt_img_1\.txt holds no texts of ICDAR") as caught:
        read_icdar(*icdar(tmp_path, line))
    assert repr(line) in caught.value.why


def test_icdars_words_are_images_of_their_own(tmp_path):
    path = tmp_path / "gt.txt"
    path.write_text('word_1.png, "Genaxis Theatre"\nword_2.png, "the \\"one\\""\nword_3.png, "###"\n')
    first, second, third = read_icdar_words(path, Path("words")).items
    assert first == Item(Path("words/word_1.png"), (TextTruth("Genaxis Theatre"),))
    assert second.truth == (TextTruth('the "one"'),)
    assert third.truth[0].ignore
    path.write_text("word_1.png Genaxis")
    with pytest.raises(CompileError, match="holds no words of ICDAR"):
        read_icdar_words(path, tmp_path)
