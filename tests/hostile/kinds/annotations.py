"""Annotation files, read by what reads their format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.hostile import mutate
from tests.hostile.case import Case
from tests.hostile.seeds import Seeds

COCO = {
    "images": [{"id": 1, "file_name": "image.png", "width": 9, "height": 9}, {"id": 2, "file_name": "b/c.png"}],
    "categories": [{"id": 1, "name": "person", "keypoints": ["nose", "eye"]}, {"id": 3, "name": "cat"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "keypoints": [1, 2, 2, 3, 4, 1], "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 3, "bbox": [0, 0, 9.5, 9], "area": 80.0},
    ],
}
MMOCR = {
    "metainfo": {"dataset_type": "TextDetDataset"},
    "data_list": [
        {"img_path": "image.png", "instances": [{"polygon": [0, 0, 9, 0, 9, 9], "text": "a", "ignore": False}]},
        {"img_path": "b.png", "instances": [{"bbox": [0, 0, 9, 9], "text": "b"}]},
    ],
}
ICDAR = '0,0,9,0,9,9,0,9,word\n1,2,3,4,5,6,7,8,"quoted"\n0,0,9,0,9,9,0,9,###\n1, 2, 3, 4, rectangle'
ICDAR_WORDS = 'image.png, "word"\nb.png, "a \\"b\\""'
MMOCR_LINES = 'image.png word\n{"filename": "b.png", "text": "b"}'
KITTI_LABELS = (
    "Car 0.00 0 1.5 1 2 3 4 1.5 1.6 3.9 1.0 1.5 10.0 0.1\nDontCare -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10"
)
KITTI_CALIBRATION = (
    "P2: 7 0 6 4 0 7 1 0 0 0 1 0\nR0_rect: 1 0 0 0 1 0 0 0 1\nTr_velo_to_cam: 0 -1 0 0 0 0 -1 0 1 0 0 0\n"
    "Tr_imu_to_velo: 1 0 0 0 0 1 0 0 0 0 1 0"
)
NUSCENES: dict[str, Any] = {
    "sample": [{"token": "1", "timestamp": 5, "scene_token": "t"}, {"token": "2", "timestamp": 900000}],
    "attribute": [{"token": "moving", "name": "vehicle.moving"}],
    "sensor": [{"token": "s", "channel": "LIDAR_TOP"}],
    "calibrated_sensor": [{"token": "c", "sensor_token": "s", "translation": [1, 0, 2], "rotation": [1, 0, 0, 0]}],
    "ego_pose": [{"token": "e", "translation": [100, 50, 0], "rotation": [0.7, 0, 0, 0.7]}],
    "category": [{"token": "car", "name": "vehicle.car"}],
    "instance": [{"token": "i", "category_token": "car"}],
    "sample_data": [
        {
            "token": "d",
            "sample_token": "1",
            "ego_pose_token": "e",
            "calibrated_sensor_token": "c",
            "timestamp": 5,
            "is_key_frame": True,
            "filename": "samples/a.bin",
        }
    ],
    "sample_annotation": [
        {
            "token": "a",
            "sample_token": "1",
            "instance_token": "i",
            "translation": [100, 60, 0.8],
            "size": [1.9, 4.5, 1.6],
            "rotation": [1, 0, 0, 0],
            "num_lidar_pts": 9,
            "attribute_tokens": ["moving"],
            "prev": "",
            "next": "b",
        },
        {"token": "b", "sample_token": "2", "instance_token": "i", "translation": [1, 2, 3]},
    ],
}

VIA = {
    "image.png9": {
        "filename": "image.png",
        "regions": [
            {
                "shape_attributes": {"name": "polygon", "all_points_x": [1, 5, 5], "all_points_y": [1, 1, 4]},
                "region_attributes": {"kind": "cat"},
            },
            {
                "shape_attributes": {"name": "ellipse", "cx": 4, "cy": 4, "rx": 2, "ry": 1, "theta": 0.5},
                "region_attributes": {"kind": {"dog": True}},
            },
        ],
    }
}
LABELME = {
    "imagePath": "image.png",
    "shapes": [
        {"label": "cat", "points": [[1, 1], [5, 1], [5, 4]], "shape_type": "polygon", "group_id": 1},
        {"label": "dog", "points": [[4, 4], [5, 5]], "shape_type": "circle", "group_id": None},
    ],
}
YOLO = {"path": ".", "train": ["images"], "val": "images", "names": ["cat", "dog"], "kpt_shape": [1, 3]}
YOLO_LABELS = "0 0.5 0.5 0.2 0.4 0.1 0.1 2\n1 0.1 0.2 0.2 0.2 0 0 0"
VOC = """<annotation>
<object><name>dog</name><difficult>0</difficult>
<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>8</xmax><ymax>9</ymax></bndbox></object>
<object><name>cat</name><difficult>1</difficult>
<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>8</xmax><ymax>9</ymax></bndbox></object>
</annotation>"""
DETECTIONS = [
    {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5},
    {"image_id": 2, "category_id": 1, "bbox": [0.5, 0, 9, 9], "score": 1},
]


def annotations(random: Random, seeds: Seeds, folder: Path) -> Case:
    """Annotations of any format."""
    texts, clouds = (_mmocr, _mmocr, _icdar, _icdar_words, _mmocr_lines), (_kitti, _nuscenes)
    make = random.choice((_coco, _coco, *texts, *clouds, _list, _via, _labelme, _yolo, _voc, _detections, _measured))
    return Case(call=make(random, folder), said=make.__name__)


def _coco(random: Random, folder: Path) -> Callable[[], object]:
    from compiler.datasets import read_coco

    return _by_json(random, folder, COCO, read_coco)


def _mmocr(random: Random, folder: Path) -> Callable[[], object]:
    from compiler.datasets.annotations import read_annotations

    return _by_json(random, folder, MMOCR, read_annotations)


def _by_json(random: Random, folder: Path, root: Any, read: Callable[[Path, Path], Any]) -> Callable[[], object]:
    path = folder / "annotations.json"
    _write(random, path, mutate.as_json(mutate.tree(random, root)))
    return lambda: _used(read(path, folder))


def _icdar(random: Random, folder: Path) -> Callable[[], object]:
    from compiler.datasets import read_icdar

    (folder / "a.png").touch()
    _write(random, folder / "gt_a.txt", mutate.lines(random, ICDAR))
    return lambda: _used(read_icdar(folder, folder))


def _icdar_words(random: Random, folder: Path) -> Callable[[], object]:
    from compiler.datasets import read_icdar_words

    _write(random, folder / "gt.txt", mutate.lines(random, ICDAR_WORDS))
    return lambda: _used(read_icdar_words(folder / "gt.txt", folder))


def _mmocr_lines(random: Random, folder: Path) -> Callable[[], object]:
    from compiler.datasets import read_mmocr_lines

    _write(random, folder / "lines.txt", mutate.lines(random, MMOCR_LINES))
    return lambda: _used(read_mmocr_lines(folder / "lines.txt", folder))


def _kitti(random: Random, folder: Path) -> Callable[[], object]:
    from compiler.datasets import read_kitti

    for name in ("velodyne", "label_2", "calib"):
        (folder / name).mkdir()
    (folder / "velodyne/000001.bin").touch()
    first = random.random() < 0.5
    _write(random, folder / "label_2/000001.txt", mutate.lines(random, KITTI_LABELS) if first else KITTI_LABELS)
    _write(random, folder / "calib/000001.txt", KITTI_CALIBRATION if first else mutate.lines(random, KITTI_CALIBRATION))
    if random.random() < 0.3:
        _write(random, folder / "frames.txt", mutate.lines(random, "000001\n../../outside/secret"))
        return lambda: _used(read_kitti(folder, folder / "frames.txt"))
    return lambda: _used(read_kitti(folder))


def _nuscenes(random: Random, folder: Path) -> Callable[[], object]:
    from compiler.datasets import read_nuscenes

    changed = random.choice(sorted(NUSCENES))
    (folder / "v1.0-mini").mkdir()
    for name, table in NUSCENES.items():
        path = folder / f"v1.0-mini/{name}.json"
        if name == changed:
            _write(random, path, mutate.as_json(mutate.tree(random, table)))
        else:
            path.write_text(json.dumps(table))
    return lambda: _used(read_nuscenes(folder))


def _list(random: Random, folder: Path) -> Callable[[], object]:
    from compiler.datasets import read_list

    _write(random, folder / "list.txt", mutate.lines(random, "# images\nimage.png\nb/c.png"))
    return lambda: _used(read_list(folder / "list.txt"))


def _via(random: Random, folder: Path) -> Callable[[], object]:
    _write(random, folder / "via_region_data.json", mutate.as_json(mutate.tree(random, VIA)))
    return _converted("via", folder)


def _labelme(random: Random, folder: Path) -> Callable[[], object]:
    _write(random, folder / "image.json", mutate.as_json(mutate.tree(random, LABELME)))
    return _converted("labelme", folder)


def _yolo(random: Random, folder: Path) -> Callable[[], object]:
    first = random.random() < 0.5
    (folder / "labels").mkdir()
    _write(random, folder / "data.yaml", mutate.as_json(mutate.tree(random, YOLO) if first else YOLO))
    _write(random, folder / "labels/image.txt", YOLO_LABELS if first else mutate.lines(random, YOLO_LABELS))
    return _converted("yolo", folder)


def _voc(random: Random, folder: Path) -> Callable[[], object]:
    from compiler.datasets import read_voc

    first = random.random() < 0.8
    (folder / "Annotations").mkdir()
    _write(random, folder / "Annotations/a.xml", mutate.lines(random, VOC) if first else VOC)
    _write(random, folder / "test.txt", "a 1" if first else mutate.lines(random, "a 1\n../../outside/secret"))
    return lambda: _used(read_voc(folder, folder / "test.txt"))


def _detections(random: Random, folder: Path) -> Callable[[], object]:
    from compiler.datasets import Dataset, Item
    from compiler.evaluation.boxes import read_detections

    _write(random, folder / "boxes.json", mutate.as_json(mutate.tree(random, DETECTIONS)))
    dataset = Dataset((Item(folder / "a.png", identity=1), Item(folder / "b.png", identity=2)))
    return lambda: read_detections(folder / "boxes.json", dataset, 0.1)


def _measured(random: Random, folder: Path) -> Callable[[], object]:
    """Measure a detection in each image of annotations that say anything."""
    from compiler.datasets import read_coco
    from compiler.metrics.coco import CocoDetection
    from compiler.metrics.voc import VocDetection
    from compiler.tasks.detection import Detection

    path = folder / "annotations.json"
    _write(random, path, mutate.as_json(mutate.tree(random, COCO)))
    found = Detection(np.float32([1, 2, 4, 6]), 0.5, 0, "person")

    def measure() -> None:
        dataset = read_coco(path, folder)
        for metric in (CocoDetection(classwise=True), VocDetection()):
            metric.score([[found]] * len(dataset.items), dataset)

    return measure


def _converted(name: str, folder: Path) -> Callable[[], object]:
    """Convert a data set of the one image that it names."""
    from compiler.datasets.conversion import convert
    from compiler.tasks.images import write_image

    for path in ("image.png", "images/image.png"):
        write_image(folder / path, np.zeros((9, 9, 3), np.uint8))
    return lambda: convert(name, folder, folder / "annotations.json", {})


def _used(dataset: Any) -> None:
    """Look at what a reader made, as calibration does."""
    from compiler.artifact import reading

    for item in dataset.items:
        with reading(item.path, "the data set names a file that cannot be read"):
            _ = item.boxes, item.path.is_file()


def _write(random: Random, path: Path, text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    path.write_bytes(mutate.content(random, data) if random.random() < 0.2 else data)
