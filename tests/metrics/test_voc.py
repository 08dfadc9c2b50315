"""PASCAL VOC's mean average precision, computed by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from compiler.datasets import Dataset, Item, ObjectTruth, read_coco
from compiler.errors import CompileError
from compiler.metrics.voc import VocDetection, average_precision, matches, overlap
from compiler.tasks.classes import Classes
from compiler.tasks.detection import Detection
from tests.metrics.drawn import coco_objects, moved


def found(box, score, name="cat") -> Detection:
    return Detection(np.float32(box), score, 0, name)


def of_images(*truths: tuple[ObjectTruth, ...]) -> Dataset:
    return Dataset(tuple(Item(Path(f"00{n}.jpg"), truth) for n, truth in enumerate(truths, 1)), ("cat", "dog"))


def cat(*box: float, ignore: bool = False) -> ObjectTruth:
    return ObjectTruth(box, "cat", ignore)


TWO = of_images((cat(0, 0, 99, 99), cat(200, 200, 299, 299)), (cat(0, 0, 49, 49),))
HIT_MISS_HIT = [
    [found((0, 0, 99, 99), 0.9), found((400, 0, 449, 49), 0.8)],
    [found((0, 0, 49, 49), 0.7)],
]
"""Recalls of 1/3, 1/3 and 2/3 at precisions of 1, 1/2 and 2/3."""


def test_the_area_below_the_curve():
    scores = VocDetection(eval_mode="area").score(HIT_MISS_HIT, TWO)
    assert scores == {"pascal_voc/mAP": pytest.approx(1 / 3 + 2 / 9), "pascal_voc/AP50": pytest.approx(1 / 3 + 2 / 9)}


def test_the_mean_at_eleven_recalls():
    """Recalls of 0, 0.1, 0.2 and 0.3 are reached at 1, those of 0.4, 0.5 and 0.6 at 2/3, and the others not."""
    assert VocDetection().score(HIT_MISS_HIT, TWO)["pascal_voc/mAP"] == pytest.approx((4 + 3 * 2 / 3) / 11)


def test_a_class_without_objects_is_left_out_of_the_mean():
    scores = VocDetection(classwise=True, eval_mode="area").score(HIT_MISS_HIT, TWO)
    assert scores["pascal_voc/cat_AP"] == scores["pascal_voc/mAP"]
    assert np.isnan(scores["pascal_voc/dog_AP"])
    assert VocDetection().score([[]], of_images(()))["pascal_voc/mAP"] == 0


def test_difficult_objects_count_neither_for_nor_against():
    difficult = of_images((cat(0, 0, 99, 99), cat(200, 200, 299, 299, ignore=True)))
    predictions = [[found((200, 200, 299, 299), 0.9), found((0, 0, 99, 99), 0.5)]]
    assert VocDetection().score(predictions, difficult)["pascal_voc/mAP"] == pytest.approx(1)
    easy = of_images((cat(0, 0, 99, 99),))
    assert VocDetection(eval_mode="area").score(predictions, easy)["pascal_voc/mAP"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("seed", "mode", "expected"),
    [
        (0, "11points", (0.459402, 0.431717)),
        (0, "area", (0.457094, 0.433934)),
        (1, "11points", (0.421384, 0.400850)),
        (1, "area", (0.412217, 0.396196)),
        (2, "area", (0.545126, 0.545126)),
    ],
)
def test_the_numbers_are_those_of_mmdetection(tmp_path, seed, mode, expected):
    """`eval_map` of MMDetection 3.3.0 on the same boxes, with `dataset="voc"` and its older coordinates."""
    dataset = read_coco(coco_objects(tmp_path / "a.json", images=20, seed=seed), tmp_path)
    scores = VocDetection(iou_thrs=(0.5, 0.7), eval_mode=mode).score(moved(dataset, seed), dataset)
    assert (scores["pascal_voc/AP50"], scores["pascal_voc/AP70"]) == pytest.approx(expected, abs=1e-6)


def test_an_object_is_found_once():
    boxes = np.array([[0, 0, 99, 99, 0.5], [0, 0, 99, 99, 0.9]])
    hits, misses = matches(boxes, np.array([[0.0, 0, 99, 99]]), np.array([False]), 0.5)
    assert hits.tolist() == [False, True], "by the one that scores more"
    assert misses.tolist() == [True, False]


def test_the_nearest_object_counts_even_where_it_is_found_already():
    """Unlike COCO, VOC does not look for another one that is free."""
    truth = np.array([[0.0, 0, 99, 99], [0, 0, 99, 79]])
    boxes = np.array([[0, 0, 99, 99, 0.9], [0, 0, 99, 95, 0.8]])
    hits, misses = matches(boxes, truth, np.array([False, False]), 0.5)
    assert hits.tolist() == [True, False]
    assert misses.tolist() == [False, True]


def test_boxes_reach_from_pixel_to_pixel():
    """Ten by ten pixels and the same moved by five: 50 of 150."""
    assert overlap(np.array([[0, 0, 9, 9]]), np.array([[5, 0, 14, 9], [10, 0, 19, 9]])).tolist() == [
        [pytest.approx(1 / 3), 0]
    ]


def test_precision_is_the_best_at_that_recall_or_a_higher_one():
    recalls, precisions = np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 2 / 3])
    assert average_precision(recalls, precisions, "area") == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert average_precision(np.zeros(0), np.zeros(0), "area") == 0
    assert average_precision(np.zeros(0), np.zeros(0), "11points") == 0


def test_map_is_the_mean_over_overlaps():
    off = [[found((0, 0, 79, 99), 0.9)]]
    scores = VocDetection(iou_thrs=(0.5, 0.9)).score(off, of_images((cat(0, 0, 99, 99),)))
    assert scores == {
        "pascal_voc/mAP": pytest.approx(0.5),
        "pascal_voc/AP50": pytest.approx(1),
        "pascal_voc/AP90": pytest.approx(0),
    }


def test_results_are_written_a_file_for_each_class(tmp_path):
    """As the development kit reads them: the image, the score and corners that are counted from 1."""
    dogs, cats = [found((0, 0, 9, 19), 0.5, "dog")], [found((4, 4, 9, 9), 0.25)]
    paths = VocDetection().write([dogs, cats], of_images((), ()), tmp_path)
    assert {path.name: path.read_text() for path in paths} == {
        "comp4_det_test_cat.txt": "002 0.250000 5.000000 5.000000 10.000000 10.000000\n",
        "comp4_det_test_dog.txt": "001 0.500000 1.000000 1.000000 10.000000 20.000000\n",
    }


def test_classes_of_the_model_have_to_be_known_to_the_data_set():
    with pytest.raises(CompileError, match="does not know horse"):
        VocDetection().fitted(SimpleNamespace(classes=Classes(("cat", "horse"))), TWO)
    assert VocDetection().fitted(SimpleNamespace(classes=Classes(("cat",))), TWO).classes == ("cat",)


def test_there_is_no_other_mode():
    with pytest.raises(ValueError, match="eval_mode is one of 11points, area"):
        VocDetection(eval_mode="12points")
