"""COCO's average precision: by hand, and against pycocotools on the very files that its users give it."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from compiler.datasets import Dataset, Item, ObjectTruth, read_coco
from compiler.errors import CompileError
from compiler.metrics import ResultFormat
from compiler.metrics.coco import BOX_NUMBERS, CocoDetection
from compiler.tasks.classes import Classes
from compiler.tasks.detection import Detection
from tests.metrics.drawn import coco_objects, moved


def found(box, score, name="cat") -> Detection:
    return Detection(np.float32(box), score, 0, name)


def of_images(*truths: tuple[ObjectTruth, ...], classes=("cat", "dog")) -> Dataset:
    return Dataset(tuple(Item(Path(f"{n}.jpg"), truth, n) for n, truth in enumerate(truths, 1)), classes)


def cat(*box: float, **more) -> ObjectTruth:
    x1, y1, x2, y2 = box
    return ObjectTruth(box, "cat", area=(x2 - x1) * (y2 - y1), **more)


def by_pycocotools(annotations: Path, results: Path, **settings) -> COCOeval:
    """What a user of pycocotools does by hand."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        judge = COCOeval(truth, truth.loadRes(str(results)), "bbox")
        for name, value in settings.items():
            setattr(judge.params, name, value)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge


def test_two_of_three_objects_found_by_the_best_two_of_three_results():
    """Precision is 1 up to a recall of 2/3, and 0 beyond: 67 of COCO's 101 recalls are reached."""
    dataset = of_images((cat(0, 0, 100, 100), cat(200, 200, 300, 300)), (cat(0, 0, 50, 50),))
    predictions = [[found((0, 0, 100, 100), 0.9), found((200, 200, 300, 300), 0.8)], [found((200, 0, 250, 50), 0.7)]]
    scores = CocoDetection().score(predictions, dataset)
    assert scores["coco/bbox_mAP"] == pytest.approx(67 / 101)
    assert scores["coco/bbox_mAP_l"] == pytest.approx(1), "both of those above 96x96 are found"
    assert scores["coco/bbox_mAP_m"] == 0, "the one of 50x50 is not"
    assert np.isnan(scores["coco/bbox_mAP_s"]), "there is none below 32x32"
    assert list(scores) == [f"coco/bbox_{name}" for name in ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l")]


def test_a_box_counts_at_the_overlaps_that_it_reaches():
    """90 of 100 columns: an intersection over union of 0.9, so nine of the ten thresholds, but not 0.95."""
    scores = CocoDetection().score([[found((0, 0, 90, 100), 0.9)]], of_images((cat(0, 0, 100, 100),)))
    assert scores["coco/bbox_mAP"] == pytest.approx(0.9)
    assert scores["coco/bbox_mAP_75"] == pytest.approx(1)


def test_what_lies_in_a_crowd_counts_neither_for_nor_against():
    crowd = cat(200, 200, 400, 400, ignore=True)
    inside = [found((0, 0, 100, 100), 0.5), found((210, 210, 260, 260), 0.9)]
    outside = [found((0, 0, 100, 100), 0.5), found((410, 410, 460, 460), 0.9)]
    dataset = of_images((cat(0, 0, 100, 100), crowd))
    assert CocoDetection().score([inside], dataset)["coco/bbox_mAP"] == pytest.approx(1)
    assert CocoDetection().score([outside], dataset)["coco/bbox_mAP"] == pytest.approx(0.5)


def test_nothing_found_is_zero_and_nothing_to_find_is_no_number():
    assert CocoDetection().score([[]], of_images((cat(0, 0, 9, 9),)))["coco/bbox_mAP"] == 0
    assert np.isnan(CocoDetection().score([[found((0, 0, 9, 9), 1.0)]], of_images(()))["coco/bbox_mAP"])


@pytest.mark.parametrize("seed", range(3))
def test_the_numbers_are_those_of_pycocotools_on_the_files_themselves(tmp_path, seed):
    annotations = coco_objects(tmp_path / "instances.json", seed=seed)
    dataset = read_coco(annotations, tmp_path)
    predictions = moved(dataset, seed)
    metric = CocoDetection(classwise=True, metric_items=BOX_NUMBERS)
    (results,) = metric.write(predictions, dataset, tmp_path)
    judge = by_pycocotools(annotations, results, maxDets=[100, 300, 1000])
    scores = metric.score(predictions, dataset)
    assert 0.05 < scores["coco/bbox_mAP"] < 0.95, "neither all right nor all wrong"
    told = [scores[f"coco/bbox_{name}"] for name in BOX_NUMBERS]
    np.testing.assert_array_equal(told, [np.nan if value == -1 else value for value in judge.stats])
    for index, name in enumerate(("person", "car", "dog")):
        precision = judge.eval["precision"][:, :, index, 0, -1]
        assert scores[f"coco/{name}_precision"] == precision[precision > -1].mean()


def test_map_is_of_a_hundred_results_and_the_others_of_a_thousand():
    """MMDetection hands pycocotools (100, 300, 1000), which takes the first for mAP and the last for the rest."""
    ignored = [found((500, 500, 510, 510), 0.9)] * 100
    hit = found((0, 0, 100, 100), 0.5)
    dataset = of_images((cat(0, 0, 100, 100),))
    scores = CocoDetection().score([[*ignored, hit]], dataset)
    assert scores["coco/bbox_mAP"] == 0
    assert scores["coco/bbox_mAP_50"] == pytest.approx(1 / 101)
    with pytest.raises(ValueError, match="proposal_nums are to have 100"):
        CocoDetection(proposal_nums=(1, 10, 99))


def test_results_are_written_with_the_numbers_of_the_annotations(tmp_path):
    dataset = replace(of_images((), ()), class_numbers=(17, 18))
    metric = CocoDetection()
    assert isinstance(metric, ResultFormat)
    (path,) = metric.write([[], [found((1, 2, 11, 22), 0.25, "dog")]], dataset, tmp_path)
    assert path.name == "results.bbox.json"
    assert json.loads(path.read_text()) == [
        {"image_id": 2, "category_id": 18, "bbox": [1.0, 2.0, 10.0, 20.0], "score": 0.25}
    ]
    nameless = Dataset((Item(Path("a.jpg")),), ("cat",))
    with pytest.raises(CompileError, match="the images have no numbers"):
        metric.write([[]], nameless, tmp_path)


def test_two_images_with_one_number_are_refused():
    one = Item(Path("a.jpg"), (cat(0, 0, 9, 9),), 7)
    with pytest.raises(CompileError, match="two images have the number 7"):
        CocoDetection().score([[], []], Dataset((one, one), ("cat",)))


def detector(*names: str) -> SimpleNamespace:
    return SimpleNamespace(classes=Classes(names))


def test_classes_of_the_model_have_to_be_known_to_the_data_set():
    dataset = of_images((cat(0, 0, 9, 9),))
    with pytest.raises(CompileError, match="the data set does not know horse, which the model looks for") as caught:
        CocoDetection().fitted(detector("cat", "horse"), dataset)
    assert "metric.partial_classes=true" in caught.value.fix
    partial = CocoDetection(partial_classes=True).fitted(detector("cat", "horse"), dataset)
    assert partial.classes == ("cat",)
    predictions = [[found((0, 0, 9, 9), 0.4), found((0, 0, 9, 9), 0.9, "horse")]]
    assert partial.score(predictions, dataset)["coco/bbox_mAP"] == pytest.approx(1)
    with pytest.raises(CompileError, match="does not know zebra, horse"):
        CocoDetection(partial_classes=True).fitted(detector("zebra", "horse"), dataset)


def test_classes_that_the_model_does_not_know_do_not_count():
    dog = ObjectTruth((50, 50, 90, 90), "dog", area=1600)
    dataset = of_images((cat(0, 0, 9, 9), dog))
    predictions = [[found((0, 0, 9, 9), 0.9)]]
    assert CocoDetection().fitted(detector("cat"), dataset).score(predictions, dataset)[
        "coco/bbox_mAP"
    ] == pytest.approx(1)
    assert CocoDetection().score(predictions, dataset)["coco/bbox_mAP"] == pytest.approx(0.5)


def test_a_data_set_that_tells_no_classes_apart_is_for_a_model_of_one():
    dataset = Dataset((Item(Path("a.jpg"), (ObjectTruth((0, 0, 9, 9), area=81),), 1),))
    metric = CocoDetection().fitted(detector("cat"), dataset)
    assert metric.score([[found((0, 0, 9, 9), 0.9)]], dataset)["coco/bbox_mAP"] == pytest.approx(1)
    with pytest.raises(CompileError, match="the model tells 2 classes apart, and the data set none"):
        CocoDetection().fitted(detector("cat", "dog"), dataset)


def test_a_number_that_is_not_measured_is_refused():
    with pytest.raises(ValueError, match="metric_items are of mAP"):
        CocoDetection(metric_items=("mAP", "mAP_90"))


@pytest.mark.parametrize("seed", range(3))
def test_the_faster_referee_says_the_same(tmp_path, seed):
    pytest.importorskip("faster_coco_eval")
    dataset = read_coco(coco_objects(tmp_path / "instances.json", seed=seed), tmp_path)
    many = [one * 70 for one in moved(dataset, seed)]
    assert max(map(len, many)) > 300, "more than mAP is of"
    for predictions in (moved(dataset, seed), many, [[]] * len(dataset.items)):
        metric = CocoDetection(classwise=True, metric_items=BOX_NUMBERS)
        expected = metric.score(predictions, dataset)
        assert replace(metric, referee="faster").score(predictions, dataset) == pytest.approx(expected, nan_ok=True)


def test_another_referee_is_refused():
    with pytest.raises(ValueError, match="no referee 'fastre': did you mean faster"):
        CocoDetection(referee="fastre")
