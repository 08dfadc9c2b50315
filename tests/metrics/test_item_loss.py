"""How bad one item is, for each metric: what is perfect is not worst; of what is not annotated nothing is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiler.datasets import Dataset, Item, ObjectTruth, TextTruth
from compiler.datasets.dataset import WorldFrame
from compiler.evaluation.pictures import worst_items
from compiler.metrics import Metric
from compiler.metrics.coco import CocoDetection
from compiler.metrics.coco_keypoints import CocoKeypoints
from compiler.metrics.kitti import Kitti
from compiler.metrics.nuscenes import NuScenes
from compiler.metrics.text_detection import HmeanIou
from compiler.metrics.text_recognition import NormalizedEditDistance, WordAccuracy
from compiler.metrics.text_spotting import SpottingHmean
from compiler.metrics.voc import VocDetection
from compiler.tasks.detection import Detection
from tests.metrics import test_coco_keypoints as people
from tests.metrics import test_kitti as kitti
from tests.metrics import test_nuscenes as nuscenes
from tests.metrics import test_text_detection as texts
from tests.metrics import test_text_recognition as words
from tests.metrics import test_text_spotting as spotting

PERFECT, HALF, MISSED, UNLABELLED = range(4)
"""Of each metric: all is found, and one of two; nothing is; and something is found where nothing is annotated."""
Results = Sequence[Sequence[Any]]
Case = tuple[Metric, Dataset, Results]


def of_items(truths: Sequence[Sequence[Any]], **more: Any) -> tuple[Item, ...]:
    return tuple(Item(Path(f"{n}.jpg"), tuple(truth), n, **more) for n, truth in enumerate(truths, 1))


def boxes(metric: Metric) -> Case:
    def cat(x: int) -> ObjectTruth:
        return ObjectTruth((x, 0, x + 50, 50), "cat", area=2500)

    def found(x: int, score: float = 0.9) -> Detection:
        return Detection(np.float32([x, 0, x + 50, 50]), score, 0, "cat")

    items = of_items([[cat(0), cat(100)], [cat(0), cat(100)], [cat(0)], []])
    return metric, Dataset(items, ("cat", "dog")), [[found(0), found(100)], [found(0)], [found(200)], [found(0)]]


def poses() -> Case:
    one = people.person()
    items = of_items([[one], [one, one], [one], []])
    right = people.pose_of(one)
    dataset = Dataset(items, ("person",), people.NAMES, (1,))
    return CocoKeypoints(nms_mode="none"), dataset, [[right], [right], [people.pose_of(one, 300)], [right]]


def scans_of_kitti() -> Case:
    items = of_items([[kitti.car(0)], [kitti.car(0), kitti.car(4)], [kitti.car(0)], []], frame=kitti.AHEAD)
    found = [[kitti.found(0)], [kitti.found(0)], [kitti.found(8)], [kitti.found(0)]]
    return Kitti(), Dataset(items, ("Car",)), found


def scans_of_nuscenes() -> Case:
    other = nuscenes.replace(nuscenes.CAR, bottom=(15.0, 0.0, -0.75))
    frame = WorldFrame(nuscenes.STILL, nuscenes.STILL)
    items = of_items([[nuscenes.CAR], [nuscenes.CAR, other], [nuscenes.CAR], []], frame=frame)
    right = nuscenes.detection()
    return NuScenes(), Dataset(items), [[right], [right], [nuscenes.detection(center=(30.0, 0.0, 0.0))], [right]]


def places_of_texts() -> Case:
    first, second = (TextTruth("a", texts.square(x)) for x in (0, 40))
    ignored = TextTruth(None, texts.square(0), ignore=True)
    right, wrong = (texts.instance(texts.square(x)) for x in (0, 80))
    return HmeanIou(), Dataset(of_items([[first], [first, second], [first], [ignored]])), [[right]] * 2 + [[wrong]] * 2


def words_where_they_stand() -> Case:
    hot, dog = spotting.HOT, spotting.DOG
    right, wrong = spotting.word(0, "hot"), spotting.word(80, "cold")
    return SpottingHmean(), Dataset(of_items([[hot], [hot, dog], [hot], []])), [[right], [right], [wrong], [wrong]]


def words_alone(metric: Metric, half: Sequence[str]) -> Case:
    truths = [[TextTruth("word", polygon=words.BOX)] * 2] * 3 + [[]]
    found = [["word", "word"], half, ["x", "x"], []]
    return metric, Dataset(of_items(truths)), [[words.text(one) for one in read] for read in found]


CASES = {
    "coco": lambda: boxes(CocoDetection()),
    "coco_told_otherwise": lambda: boxes(CocoDetection(metric_items=("mAP_50",), classwise=True)),
    "voc": lambda: boxes(VocDetection(classes=("cat",))),
    "voc_area": lambda: boxes(VocDetection(eval_mode="area")),
    "coco_keypoints": poses,
    "kitti": scans_of_kitti,
    "nuscenes": scans_of_nuscenes,
    "hmean": places_of_texts,
    "spotting": words_where_they_stand,
    "word_accuracy": lambda: words_alone(WordAccuracy(), ["word", "x"]),
    "edit_distance": lambda: words_alone(NormalizedEditDistance(), ["word", "wo"]),
}


@pytest.mark.parametrize("name", CASES)
def test_the_worst_is_what_was_missed_and_the_best_what_was_found(name):
    metric, dataset, results = CASES[name]()
    (worst, most), (middle, some), (best, none) = worst_items(metric, dataset, results)
    assert (worst, middle, best) == (MISSED, HALF, PERFECT), "and nothing is said of what is not annotated"
    assert (most, none) == (pytest.approx(1), pytest.approx(0))
    assert 0.2 < some < 0.8
