"""Annotations that are drawn at random, and predictions that are made of them: no trained weights are needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from compiler.datasets import Dataset, ObjectTruth
from compiler.tasks.detection import Detection
from compiler.tasks.pose import Pose

CATEGORIES = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}, {"id": 18, "name": "dog"}]
WIDTH, HEIGHT = 640, 480


def coco_objects(path: Path, images: int = 12, seed: int = 0) -> Path:
    """COCO annotations of objects of three classes and all sizes, some of them crowds; not in the order of numbers."""
    draw = np.random.default_rng(seed)
    numbers = draw.permutation(np.arange(100, 100 + images)).tolist()
    annotations: list[dict[str, Any]] = []
    for image in numbers:
        for _ in range(draw.integers(0, 6)):
            width, height = np.exp(draw.uniform(np.log(8), np.log(300), 2)).round(2).tolist()
            x, y = draw.uniform(0, [WIDTH - width, HEIGHT - height]).round(2).tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(draw.choice([1, 3, 18])),
                    "bbox": [x, y, width, height],
                    "area": round(width * height * 0.7, 2),
                    "iscrowd": int(draw.random() < 0.1),
                }
            )
    images_ = [{"id": n, "file_name": f"{n}.jpg", "width": WIDTH, "height": HEIGHT} for n in numbers]
    path.write_text(json.dumps({"images": images_, "annotations": annotations, "categories": CATEGORIES}))
    return path


def moved(dataset: Dataset, seed: int = 1) -> list[list[Detection]]:
    """What a detector of middling quality would find: objects moved a little, some missed, some invented."""
    draw = np.random.default_rng(seed)
    return [[*_found(item.truth, dataset.classes, draw), *_invented(dataset.classes, draw)] for item in dataset.items]


def _found(truth: Any, classes: tuple[str, ...], draw: np.random.Generator) -> list[Detection]:
    found = []
    for one in truth:
        assert isinstance(one, ObjectTruth)
        x1, y1, x2, y2 = one.box
        for _ in range(draw.integers(0, 3)):
            spread = 0.08 * min(x2 - x1, y2 - y1)
            box = (np.array(one.box) + draw.normal(0, spread, 4)).astype(np.float32)
            label = classes.index(one.label) if draw.random() < 0.9 else int(draw.integers(len(classes)))
            found.append(Detection(box, float(draw.random()), label, classes[label]))
    return found


def _invented(classes: tuple[str, ...], draw: np.random.Generator) -> list[Detection]:
    boxes = draw.uniform(0, 400, (draw.integers(0, 3), 2))
    labels = draw.integers(0, len(classes), len(boxes))
    return [
        Detection(np.float32([*corner, *(corner + 40)]), float(draw.random()) / 2, int(label), classes[label])
        for corner, label in zip(boxes, labels, strict=True)
    ]


def coco_people(path: Path, images: int = 8, seed: int = 0) -> Path:
    """COCO annotations of people with 17 key points, of which some are not labelled; crowds, too."""
    draw = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    for image in range(1, images + 1):
        for _ in range(draw.integers(0, 5)):
            width, height = draw.uniform(30, 250, 2).round(2).tolist()
            x, y = draw.uniform(0, [WIDTH - width, HEIGHT - height]).round(2).tolist()
            crowd = bool(draw.random() < 0.15)
            points = draw.uniform([x, y], [x + width, y + height], (17, 2)).round(1)
            visible = np.zeros(17, int) if crowd else draw.choice([0, 1, 2], 17, p=[0.3, 0.2, 0.5])
            triples = np.where(visible[:, None] > 0, np.column_stack([points, visible]), 0)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": 1,
                    "bbox": [x, y, width, height],
                    "area": round(width * height * 0.6, 2),
                    "iscrowd": int(crowd),
                    "keypoints": triples.ravel().tolist(),
                    "num_keypoints": int((visible > 0).sum()),
                }
            )
    person = {"id": 1, "name": "person", "keypoints": list(NAMES)}
    images_ = [{"id": n, "file_name": f"{n}.jpg", "width": WIDTH, "height": HEIGHT} for n in range(1, images + 1)]
    path.write_text(json.dumps({"images": images_, "annotations": annotations, "categories": [person]}))
    return path


NAMES = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow"),
    *("right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle"),
    "right_ankle",
)


def posed(dataset: Dataset, seed: int = 1) -> list[list[Pose]]:
    """A pose for each person that is no crowd, its points moved a little: the more so, the less sure."""
    draw = np.random.default_rng(seed)
    return [[_posed(one, draw) for one in item.truth if not one.ignore and one.keypoints] for item in dataset.items]  # type: ignore[union-attr]


def _posed(one: Any, draw: np.random.Generator) -> Pose:
    x1, y1, x2, y2 = one.box
    spread = draw.uniform(0, 0.08) * np.sqrt((x2 - x1) * (y2 - y1))
    points = np.float32([(point.x, point.y) for point in one.keypoints]) + draw.normal(0, spread, (17, 2))
    scores = draw.uniform(0, 1, 17).astype(np.float32)
    return Pose(points.astype(np.float32), scores, np.float32(one.box), NAMES)
