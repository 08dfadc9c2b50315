"""Data sets of other formats, written by hand from what their makers say, as evaluate and calibration read them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from compiler.datasets import Dataset, read_coco, read_mmocr, read_mmocr_lines
from compiler.datasets.conversion import CONVERSIONS, convert
from compiler.errors import Caution, CompileError, UsageError
from compiler.tasks.images import write_image


def picture(path: Path, width: int = 100, height: int = 50) -> Path:
    write_image(path, np.zeros((height, width, 3), np.uint8))
    return path


def converted(name: str, source: Path, **options: str) -> Dataset:
    """What is read of the annotations that a data set is converted to."""
    target = (source if source.is_dir() else source.parent) / "annotations.json"
    convert(name, source, target, options)
    read = read_mmocr if name.startswith("icdar") else read_coco
    dataset = read(target, target.parent)
    assert all(item.path.resolve().is_file() for item in dataset.items), "named from where the annotations lie"
    return dataset


def boxes(dataset: Dataset) -> list[tuple]:
    return [(one.label, *(round(side, 6) for side in one.box)) for item in dataset.items for one in item.truth]


# VIA: https://www.robots.ox.ac.uk/~vgg/software/via/docs/face_track_annotation.html, and the balloon set's own file.

POLYGON = {"name": "polygon", "all_points_x": [10, 40, 40, 10], "all_points_y": [5, 5, 25, 25]}


def via(folder: Path, *regions: dict, filename: str = "a.jpg", as_list: bool = True, saved: bool = False) -> Path:
    picture(folder / "a.jpg")
    numbered = {str(index): region for index, region in enumerate(regions)}
    record = {
        "filename": filename,
        "size": 1115004,
        "regions": list(regions) if as_list else numbered,
        "file_attributes": {},
    }
    content = {f"{filename}1115004": record}
    saved_content = {"_via_settings": {}, "_via_img_metadata": content, "_via_attributes": {}}
    (folder / "via_region_data.json").write_text(json.dumps(saved_content if saved else content))
    return folder


def region(shape: dict, **attributes) -> dict:
    return {"shape_attributes": shape, "region_attributes": attributes}


@pytest.mark.parametrize("as_list", [True, False], ids=["version 2", "version 1"])
@pytest.mark.parametrize("saved", [True, False], ids=["saved", "exported"])
def test_balloons_of_via_have_the_box_around_their_outline(tmp_path, as_list, saved):
    found = converted("via", via(tmp_path, region(POLYGON), as_list=as_list, saved=saved), **{"class": "balloon"})
    assert boxes(found) == [("balloon", 10, 5, 40, 25)]
    assert found.items[0].truth[0].area == 600
    assert found.classes == ("balloon",)


@pytest.mark.parametrize(
    ("shape", "box", "area"),
    [
        (POLYGON, (10, 5, 40, 25), 600),
        ({"name": "polygon", "all_points_x": [0, 30, 0], "all_points_y": [0, 0, 20]}, (0, 0, 30, 20), 300),
        ({"name": "rect", "x": 3, "y": 4, "width": 10, "height": 20}, (3, 4, 13, 24), 200),
        ({"name": "circle", "cx": 30, "cy": 20, "r": 10}, (20, 10, 40, 30), 100 * math.pi),
        ({"name": "ellipse", "cx": 30, "cy": 20, "rx": 10, "ry": 5}, (20, 15, 40, 25), 50 * math.pi),
        (
            {"name": "ellipse", "cx": 30, "cy": 20, "rx": 10, "ry": 5, "theta": math.pi / 2},
            (25, 10, 35, 30),
            50 * math.pi,
        ),
    ],
    ids=["polygon", "triangle", "rectangle", "circle", "ellipse", "turned ellipse"],
)
def test_shapes_of_via(tmp_path, shape, box, area):
    (one,) = converted("via", via(tmp_path, region(shape, kind="cat"))).items[0].truth
    assert (one.label, one.area) == ("cat", pytest.approx(area))
    assert one.box == pytest.approx(box)


def test_vias_attributes_say_the_class_and_of_several_one_is_chosen(tmp_path):
    folder = via(tmp_path, region(POLYGON, kind="cat", colour="red"), region(POLYGON, kind={"dog": True, "cat": False}))
    with pytest.raises(CompileError, match="no regions of VIA") as caught:
        convert("via", folder, tmp_path / "out.json", {})
    assert "attribute=<name>" in caught.value.why
    assert [label for label, *_ in boxes(converted("via", folder, attribute="kind"))] == ["cat", "dog"]


def test_a_region_of_via_without_a_class_is_refused_and_a_point_is_left_out(tmp_path):
    with pytest.raises(CompileError, match="no regions of VIA") as caught:
        convert("via", via(tmp_path, region(POLYGON, kind="")), tmp_path / "out.json", {})
    assert "must name its class" in caught.value.why
    folder = via(tmp_path, region({"name": "point", "cx": 1, "cy": 2}), region(POLYGON))
    with pytest.warns(Caution, match="no area: 1 left out"):
        assert boxes(converted("via", folder)) == [("object", 10, 5, 40, 25)]


# LabelMe: https://github.com/wkentaro/labelme/blob/main/examples/tutorial/apc2016_obj3.json.


def labelme(folder: Path, *shapes: dict, image: str = "a.jpg") -> Path:
    picture(folder / "a.jpg")
    content = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": None}
    (folder / "a.json").write_text(json.dumps({**content, "imageHeight": 50, "imageWidth": 100}))
    return folder


def shape(kind: str | None, points: list, label: str = "cat", group: int | None = None) -> dict:
    return {"label": label, "points": points, "group_id": group, "shape_type": kind, "flags": {}}


@pytest.mark.parametrize(
    ("kind", "points", "box", "area"),
    [
        ("polygon", [[10, 5], [40, 5], [40, 25]], (10, 5, 40, 25), 300),
        (None, [[10, 5], [40, 5], [40, 25]], (10, 5, 40, 25), 300),
        ("rectangle", [[40, 25], [10, 5]], (10, 5, 40, 25), 600),
        ("circle", [[30, 20], [33, 24]], (25, 15, 35, 25), 25 * math.pi),
        ("mask", [[10, 5], [40, 25]], (10, 5, 40, 25), 600),
    ],
)
def test_shapes_of_labelme(tmp_path, kind, points, box, area):
    (one,) = converted("labelme", labelme(tmp_path, shape(kind, points))).items[0].truth
    assert (one.label, one.box, one.area) == ("cat", box, pytest.approx(area))


def test_labelmes_shapes_of_one_group_are_one_object(tmp_path):
    left, right = [[0, 0], [10, 10]], [[20, 5], [30, 20]]
    parts = (
        shape("rectangle", left, group=1),
        shape("rectangle", right, group=1),
        shape("rectangle", right, "dog", 1),
        shape("rectangle", left),
        shape("rectangle", left),
    )
    found = converted("labelme", labelme(tmp_path, *parts))
    alone = ("cat", 0, 0, 10, 10)
    assert boxes(found) == [("cat", 0, 0, 30, 20), ("dog", 20, 5, 30, 20), alone, alone]
    assert found.items[0].truth[0].area == 100 + 150


def test_labelmes_files_may_lie_beside_the_images_and_name_them_as_windows_does(tmp_path):
    picture(tmp_path / "images/a.jpg")
    (tmp_path / "labels").mkdir()
    content = {"shapes": [shape("rectangle", [[0, 0], [10, 10]])], "imagePath": "..\\images\\a.jpg"}
    (tmp_path / "labels/a.json").write_text(json.dumps(content))
    assert boxes(converted("labelme", tmp_path)) == [("cat", 0, 0, 10, 10)]


def test_labelmes_points_and_lines_have_no_area(tmp_path):
    shapes = [shape("point", [[1, 2]]), shape("linestrip", [[1, 2], [3, 4]]), shape("rectangle", [[0, 0], [9, 9]])]
    with pytest.warns(Caution, match="no area: 2 left out"):
        assert len(boxes(converted("labelme", labelme(tmp_path, *shapes)))) == 1


# YOLO: https://docs.ultralytics.com/datasets/detect, /segment and /pose.


def yolo(folder: Path, *lines: str, names: object = ("cat", "dog"), **settings: object) -> Path:
    picture(folder / "images/val/a.jpg")
    (folder / "labels/val").mkdir(parents=True, exist_ok=True)
    (folder / "labels/val/a.txt").write_text("\n".join(lines))
    listed = names if isinstance(names, dict) else list(names)
    splits = {"train": "images/train", "val": "images/val"}
    content = {"path": f"../datasets/{folder.name}", **splits, "names": listed, **settings}
    (folder / "data.yaml").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("names", [("cat", "dog"), {0: "cat", 1: "dog"}], ids=["a list", "by their numbers"])
def test_yolos_boxes_are_by_the_size_of_the_image(tmp_path, names):
    root = yolo(tmp_path, "1 0.5 0.5 0.2 0.4", "0 0.05 0.1 0.1 0.2")
    if isinstance(names, dict):
        listed = "\n".join(f"  {number}: {name}" for number, name in names.items())
        (root / "data.yaml").write_text(f"val: images/val\nnames:\n{listed}\n")
    found = converted("yolo", root)
    assert boxes(found) == [("dog", 40, 15, 60, 35), ("cat", 0, 0, 10, 10)]
    assert found.items[0].truth[0].area == pytest.approx(400)
    assert found.classes == ("cat", "dog")


def test_yolos_polygons_and_key_points(tmp_path):
    polygon = converted("yolo", yolo(tmp_path / "segment", "0 0.1 0.2 0.5 0.2 0.5 0.8")).items[0].truth[0]
    assert polygon.box == pytest.approx((10, 10, 50, 40))
    assert polygon.area == pytest.approx(600)
    line = "0 0.5 0.5 0.2 0.4 0.1 0.2 2 0 0 0"
    found = converted("yolo", yolo(tmp_path / "pose", line, kpt_shape=[2, 3]))
    assert [(one.x, one.y, one.visibility) for one in found.items[0].truth[0].keypoints] == [(10, 10, 2), (0, 0, 0)]
    assert found.keypoints == ("0", "1")
    found = converted("yolo", yolo(tmp_path / "flat", "0 0.5 0.5 0.2 0.4 0.1 0.2 0 0", kpt_shape=[2, 2]))
    assert [one.visibility for one in found.items[0].truth[0].keypoints] == [2, 0]


def test_a_split_of_yolo_is_a_folder_a_list_of_files_or_several(tmp_path):
    root = yolo(
        tmp_path, "0 0.5 0.5 0.2 0.4", test="list.txt", train=["images/val", "images/more"], other="../images/val"
    )
    picture(root / "images/more/b.jpg")
    (root / "list.txt").write_text("./images/more/b.jpg\nimages/val/a.jpg\n")

    def names(split: str) -> list[str]:
        dataset = convert("yolo", root, tmp_path / f"{split}.json", {"split": split})
        return [item.path.name for item in dataset.items]

    assert names("test") == ["b.jpg", "a.jpg"], "an image without labels has no objects"
    assert names("train") == ["a.jpg", "b.jpg"]
    assert names("other") == ["a.jpg"], "as Roboflow writes it"


def test_yolo_without_a_yaml_has_a_list_of_classes(tmp_path):
    picture(tmp_path / "images/a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("1 0.5 0.5 0.2 0.4\n")
    (tmp_path / "obj.names").write_text("cat\ndog\n")
    assert boxes(converted("yolo", tmp_path)) == [("dog", 40, 15, 60, 35)]


def test_yolos_labels_may_lie_beside_the_images(tmp_path):
    root = yolo(tmp_path, val="pictures")
    picture(root / "pictures/a.png")
    (root / "pictures/a.txt").write_text("1 0.5 0.5 0.2 0.4\n")
    assert boxes(converted("yolo", root)) == [("dog", 40, 15, 60, 35)]


@pytest.mark.parametrize("path", ["", None, "inner", "C:\\sets\\pets", "/datasets/pets/"])
def test_yolos_path_is_a_folder_below_or_the_name_of_its_own(tmp_path, path):
    root = yolo(tmp_path / "pets", "1 0.5 0.5 0.2 0.4", path=path)
    if path == "inner":
        yolo(root / "inner", "0 0.5 0.5 0.2 0.4")
        (root / "inner/data.yaml").unlink()
    (item,) = converted("yolo", root / "data.yaml").items
    assert [one.label for one in item.truth] == ["cat" if path == "inner" else "dog"]


@pytest.mark.parametrize("path", ["elsewhere", "../cars", "/datasets/cars", 7, ["pets"]])
def test_another_path_of_yolos_is_refused_by_its_name(tmp_path, path):
    with pytest.raises(CompileError, match=r"data\.yaml holds no data set of YOLO") as caught:
        converted("yolo", yolo(tmp_path / "pets", "1 0.5 0.5 0.2 0.4", path=path))
    assert repr(path) in caught.value.why


def test_a_split_that_is_not_there_is_refused(tmp_path):
    root = yolo(tmp_path, "0 0.5 0.5 0.2 0.4")
    with pytest.raises(CompileError, match="holds no data set of YOLO") as caught:
        converted("yolo", root, split="tset")
    assert "no split 'tset': choose one of: train, val" in caught.value.why
    with pytest.raises(CompileError, match="holds no data set of YOLO") as caught:
        converted("yolo", root, split="train")
    assert "no folder 'images/train'" in caught.value.why
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(CompileError, match="no split 'vla'") as caught:
        converted("yolo", root, split="vla")
    assert "did you mean val?" in caught.value.fix
    assert [item.path.name for item in converted("yolo", root, split="val").items] == ["a.jpg"]


def test_classes_of_one_name_cannot_be_told_apart(tmp_path):
    with pytest.raises(CompileError) as caught:
        converted("yolo", yolo(tmp_path, "0 0.5 0.5 0.2 0.4", names=("cat", "dog", "cat")))
    assert "2 classes are called 'cat'" in caught.value.why


# KITTI, VOC and ICDAR have readers of their own; see test_clouds, test_voc and test_text.


def test_kittis_boxes_in_the_image_and_regions_without_labels_for_every_class(tmp_path):
    picture(tmp_path / "image_2/000007.png")
    (tmp_path / "label_2").mkdir()
    car = "Car 0.10 1 -1.57 14.2 18.8 27.3 28.8 1.57 1.73 4.15 1.00 1.75 13.22 -1.6"
    lines = [car, car.replace("Car", "Cyclist"), "DontCare -1 -1 -10 50 10 60 30 -1 -1 -1 -1000 -1000 -1000 -10"]
    (tmp_path / "label_2/000007.txt").write_text("\n".join(lines))
    (tmp_path / "val.txt").write_text("000007\n")
    for options in ({}, {"frames": str(tmp_path / "val.txt")}):
        target = tmp_path / f"{len(options)}.json"
        convert("kitti", tmp_path, target, options)
        truth = read_coco(target, tmp_path).items[0].truth
        assert [(one.label, one.ignore) for one in truth] == [
            ("Car", False),
            ("Cyclist", False),
            ("Car", True),
            ("Cyclist", True),
        ]
        assert truth[0].box == pytest.approx((14.2, 18.8, 27.3, 28.8))


def test_vocs_corners_are_counted_from_nought_and_difficult_objects_ignored(tmp_path):
    picture(tmp_path / "JPEGImages/000005.jpg")
    (tmp_path / "Annotations").mkdir()
    described = "<object><name>chair</name><difficult>{}</difficult><bndbox><xmin>3</xmin><ymin>5</ymin>" \
                "<xmax>33</xmax><ymax>45</ymax></bndbox></object>"  # fmt: skip
    content = f"<annotation>{described.format(0)}{described.format(1)}</annotation>"
    (tmp_path / "Annotations/000005.xml").write_text(content)
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/test.txt").write_text("000005\n")
    found = converted("voc", tmp_path, split="test")
    assert boxes(found) == [("chair", 2, 4, 32, 44)] * 2
    assert [one.ignore for one in found.items[0].truth] == [False, True]


@pytest.mark.parametrize(
    ("name", "line"),
    [("icdar2015", "10,5,40,5,40,25,10,25,Genaxis, Theatre"), ("icdar2013", '10, 5, 40, 25, "Genaxis, Theatre"')],
)
def test_icdars_texts(tmp_path, name, line):
    picture(tmp_path / "ch4_test_images/img_1.jpg")
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt/gt_img_1.txt").write_text(f"{line}\n1,2,30,2,30,9,1,9,###\n", encoding="utf-8-sig")
    read, unread = converted(name, tmp_path).items[0].truth
    assert (read.text, read.ignore, read.polygon) == ("Genaxis, Theatre", False, ((10, 5), (40, 5), (40, 25), (10, 25)))
    assert unread.ignore
    content = json.loads((tmp_path / "annotations.json").read_text())
    assert content["metainfo"]["task_name"] == "textdet"
    assert (content["data_list"][0]["width"], content["data_list"][0]["height"]) == (100, 50)


def test_icdars_words(tmp_path):
    picture(tmp_path / "word_1.png")
    (tmp_path / "gt.txt").write_text('word_1.png, "Genaxis"\n')
    found = converted("icdar2015", tmp_path / "gt.txt")
    assert [one.text for one in found.items[0].truth] == ["Genaxis"]
    content = json.loads((tmp_path / "annotations.json").read_text())
    assert content["metainfo"]["task_name"] == "textrecog"


def test_an_image_of_icdar_that_is_missing_or_there_twice_is_named(tmp_path):
    (tmp_path / "gt_img_1.txt").write_text("1,2,3,4,word\n")
    with pytest.raises(CompileError, match="there are 0 images called img_1"):
        convert("icdar2015", tmp_path, tmp_path / "out.json", {})
    for split in ("train", "test"):
        picture(tmp_path / split / "img_1.jpg")
    with pytest.raises(CompileError, match="there are 2 images called img_1"):
        convert("icdar2015", tmp_path, tmp_path / "out.json", {})


# Data from strangers.

ELSEWHERE = [
    "../secret.jpg",
    "/etc/passwd",
    "C:\\secret.jpg",
    "a/../../secret.jpg",
    "\\\\host\\secret.jpg",
    "",
    7,
    None,
]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_file_elsewhere_is_refused(tmp_path, name):
    root = tmp_path / "set"
    root.mkdir()
    picture(tmp_path / "secret.jpg")
    cases = {
        "via": lambda: via(root, region(POLYGON), filename=name),
        "labelme": lambda: labelme(root, image=name),
        "yolo": lambda: yolo(root, val=[name if name != "../secret.jpg" else "../../secret.jpg"]),
    }
    for kind, write in cases.items():
        with pytest.raises(CompileError, match=r"holds no|is not within"):
            convert(kind, write(), tmp_path / "out.json", {})
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("name", ELSEWHERE)
def test_annotations_that_name_a_file_elsewhere_are_refused(tmp_path, name):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"images": [{"id": 1, "file_name": name}]}))
    with pytest.raises(CompileError, match="holds no COCO annotations"):
        read_coco(path, tmp_path / "images")
    path.write_text(json.dumps({"data_list": [{"img_path": name, "instances": []}]}))
    with pytest.raises(CompileError, match="holds no annotations of MMOCR"):
        read_mmocr(path, tmp_path / "images")
    lines = [
        json.dumps({"filename": name, "text": "word"}),
        *([f"{name} word"] if name and " " not in str(name) else []),
    ]
    for line in lines if isinstance(name, str) else lines[:1]:
        path.write_text(line)
        with pytest.raises(CompileError, match="holds no words of MMOCR"):
            read_mmocr_lines(path, tmp_path / "images")


NO_NUMBERS = [float("nan"), float("inf"), 1e300, 10**400, "ten", None, True, [1], {"x": 1}]


@pytest.mark.parametrize("number", NO_NUMBERS, ids=repr)
def test_what_is_no_coordinate_is_refused(tmp_path, number):
    rectangle = {"name": "rect", "x": number, "y": 4, "width": 10, "height": 20}
    for name, source in {
        "via": via(tmp_path / "via", region(rectangle)),
        "labelme": labelme(tmp_path / "labelme", shape("rectangle", [[number, 1], [2, 3]])),
    }.items():
        with pytest.raises(CompileError, match=r"no (regions of VIA|shapes of LabelMe)"):
            convert(name, source, tmp_path / "out.json", {})


@pytest.mark.parametrize(
    "line",
    [
        "0 0.5 0.5 0.2",
        "0 0.5 0.5 nan 0.4",
        "2 0.5 0.5 0.2 0.4",
        "-1 0.5 0.5 0.2 0.4",
        "cat 0.5 0.5 0.2 0.4",
        "0 50 25 20 10",
        f"{'9' * 5000} 0.5 0.5 0.2 0.4",
        "0 0.1 0.2 0.3 0.4 0.5",
    ],
    ids=["too few", "no number", "no such class", "negative", "a name", "in pixels", "endless", "half a polygon"],
)
def test_what_is_no_label_of_yolos_is_refused(tmp_path, line):
    with pytest.raises(CompileError, match=r"a\.txt holds no labels of YOLO"):
        convert("yolo", yolo(tmp_path, line), tmp_path / "out.json", {})


@pytest.mark.parametrize(
    "content", ["[", "7", "[]", '{"names": 5, "val": "images/val"}', "names: &a [*a]\nval: images/val"]
)
def test_a_yaml_that_is_no_data_set_of_yolos_is_refused(tmp_path, content):
    root = yolo(tmp_path)
    (root / "data.yaml").write_text(content)
    with pytest.raises(CompileError) as caught:
        convert("yolo", root, tmp_path / "out.json", {})
    assert "data.yaml" in f"{caught.value.what} {caught.value.where}"


@pytest.mark.parametrize("content", ["{", "[]", "7", '{"a": 5}', '{"a": {"filename": "a.jpg", "regions": [5]}}'])
def test_json_of_another_form_is_refused(tmp_path, content):
    folders = {"via": via(tmp_path / "via"), "labelme": labelme(tmp_path / "labelme")}
    (tmp_path / "via/via_region_data.json").write_text(content)
    (tmp_path / "labelme/a.json").write_text(content)
    for name, folder in folders.items():
        with pytest.raises(CompileError, match=r"no (regions of VIA|shapes of LabelMe)") as caught:
            convert(name, folder, tmp_path / "out.json", {})
        assert caught.value.why
        assert caught.value.fix


@pytest.mark.parametrize("name", CONVERSIONS)
def test_nothing_at_all_is_refused(tmp_path, name):
    with pytest.raises(CompileError):
        convert(name, tmp_path, tmp_path / "out.json", {})
    with pytest.raises(UsageError, match="does not exist"):
        convert(name, tmp_path / "missing", tmp_path / "out.json", {})


def test_annotations_name_images_below_their_own_folder(tmp_path):
    folder = via(tmp_path / "set", region(POLYGON))
    with pytest.raises(CompileError, match="does not lie below the folder of the annotations") as caught:
        convert("via", folder, tmp_path / "elsewhere/out.json", {})
    assert "the folder of the data set" in caught.value.fix
    assert not (tmp_path / "elsewhere").exists()
    convert("via", folder, tmp_path / "out.json", {})
    (item,) = read_coco(tmp_path / "out.json", tmp_path).items
    assert item.path == folder / "a.jpg"


def test_a_missing_image_is_named(tmp_path):
    folder = via(tmp_path, region(POLYGON))
    (folder / "a.jpg").unlink()
    with pytest.raises(CompileError, match="the image does not exist"):
        convert("via", folder, tmp_path / "out.json", {})


def test_no_file_is_written_over_and_annotations_are_json(tmp_path):
    folder = via(tmp_path, region(POLYGON))
    with pytest.raises(UsageError, match="no file to write") as caught:
        convert("via", folder, folder / "via_region_data.json", {})
    assert "there is a file of this name" in caught.value.why
    with pytest.raises(UsageError, match="no file to write"):
        convert("via", folder, tmp_path / "out.xml", {})


def test_names_that_no_file_system_has_are_refused(tmp_path):
    name = "x" * 300
    with pytest.raises(CompileError, match="the data set cannot be read"):
        convert("via", tmp_path / name, tmp_path / "out.json", {})
    with pytest.raises(CompileError, match="no file to write"):
        convert("via", via(tmp_path, region(POLYGON)), tmp_path / f"{name}.json", {})
    with pytest.raises(CompileError, match="the image cannot be read"):
        convert("via", via(tmp_path, region(POLYGON), filename=name), tmp_path / "out.json", {})
    root = yolo(tmp_path / "yolo", val="list.txt")
    (root / "list.txt").write_text(f"{name}.jpg\n")
    with pytest.raises(CompileError, match=r"holds no labels of YOLO|the image cannot be read"):
        convert("yolo", root, tmp_path / "out.json", {})


def test_formats_and_options_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no format 'yolov5'") as caught:
        convert("yolov5", tmp_path, tmp_path / "out.json", {})
    assert "yolo" in caught.value.fix
    with pytest.raises(UsageError, match="labelme takes no option 'class'"):
        convert("labelme", tmp_path, tmp_path / "out.json", {"class": "cat"})
