"""Recall, precision and hmean are those of MMOCR, and what they count is as it says."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from compiler.datasets import Dataset, Item, ObjectTruth, TextTruth
from compiler.errors import CompileError
from compiler.metrics.text_detection import PAIRINGS, HmeanIou
from compiler.tasks.text_detection import TextInstance
from tests.metrics.text_images import images

GOLDEN = json.loads((Path(__file__).parents[1] / "data/text_scores.json").read_text())
"""What MMOCR 1.0.1 says of the same texts: see `ask_mmocr.py`."""


def instance(polygon, score=0.9):
    return TextInstance(np.array(polygon, np.float32), score)


def square(x, y=0.0, side=10.0):
    return ((x, y), (x + side, y), (x + side, y + side), (x, y + side))


def of_one_image(found, *truth, **settings):
    scores = HmeanIou(**settings).score([found], Dataset((Item(Path("a.jpg"), truth),)))
    return tuple(scores[f"icdar/{name}"] for name in ("recall", "precision", "hmean"))


def test_polygons_that_lie_apart_are_not_clipped_against_each_other(monkeypatch):
    """What that costs grows with the square of their corners."""
    monkeypatch.setattr("pyclipper.Pyclipper", lambda: pytest.fail("there is nothing to clip"))
    apart = TextTruth("a", square(40)), TextTruth(None, square(80), ignore=True)
    assert of_one_image([instance(square(0))], *apart) == (0, 0, 0)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("vanilla", {}),
        ("max_matching", {"strategy": "max_matching"}),
        ("finer", {"pred_score_thrs": (0.3, 1, 0.05)}),
        ("loose", {"match_iou_thr": 0.3, "ignore_precision_thr": 0.8}),
        ("loose_max_matching", {"match_iou_thr": 0.3, "ignore_precision_thr": 0.8, "strategy": "max_matching"}),
    ],
)
def test_the_numbers_are_those_of_mmocr(name, settings):
    drawn = images()
    items = [Item(Path(f"{index}.jpg"), tuple(_truth(true))) for index, (true, _) in enumerate(drawn)]
    predictions = [[instance(polygon, score) for polygon, score in found] for _, found in drawn]
    scores = HmeanIou(**settings).score(predictions, Dataset(tuple(items)))
    assert scores == pytest.approx({f"icdar/{key}": value for key, value in GOLDEN[name].items()}, abs=1e-12)
    assert list(scores) == ["icdar/precision", "icdar/recall", "icdar/hmean"], "in MMOCR's order"


def _truth(texts):
    return [TextTruth(None, tuple(polygon), ignored) for polygon, ignored in texts]


def test_a_text_is_found_where_more_than_half_is_shared():
    truth = TextTruth(None, square(0))
    # 10 x 10 beside each other by d share (10 - d) / (10 + d).
    assert of_one_image([instance(square(3.3))], truth) == (1, 1, 1)
    assert of_one_image([instance(square(10 / 3 + 0.01))], truth) == (0, 0, 0)
    half = TextTruth(None, ((0, 0), (10, 0), (10, 5), (0, 5)))
    assert of_one_image([instance(square(0))], half) == (0, 0, 0), "exactly half is not enough"


def test_the_best_threshold_counts_and_what_scores_less_than_all_does_not():
    truth = TextTruth(None, square(0))
    right, wrong = instance(square(0), 0.75), instance(square(50), 0.65)
    assert of_one_image([right, wrong], truth) == (1, 1, 1)
    assert of_one_image([instance(square(0), 0.65), instance(square(50), 0.75)], truth) == (
        1,
        0.5,
        pytest.approx(2 / 3),
    )
    assert of_one_image([instance(square(0), 0.29)], truth) == (0, 0, 0)
    assert of_one_image([instance(square(0), np.float32(0.3))], truth) == (1, 1, 1)


def test_a_text_in_one_that_cannot_be_read_counts_neither_way():
    truth, unreadable = TextTruth(None, square(0)), TextTruth("###", square(100), ignore=True)
    right = instance(square(0))
    assert of_one_image([right], truth, unreadable) == (1, 1, 1), "nobody need find it"
    assert of_one_image([right, instance(square(104))], truth, unreadable) == (1, 1, 1), "60 of 100 lie in it"
    assert of_one_image([right, instance(square(106))], truth, unreadable)[1] == 0.5, "40 of 100 do"
    assert of_one_image([right, instance(square(104, side=2))], truth, unreadable) == (1, 1, 1), "a part of it"


def test_one_text_is_found_once():
    twice = [instance(square(0)), instance(square(1))]
    assert of_one_image(twice, TextTruth(None, square(0))) == (1, 0.5, pytest.approx(2 / 3))


def test_an_image_without_texts():
    assert of_one_image([]) == (1, 1, 1)
    assert of_one_image([instance(square(0))]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("matching", "as_they_come", "most"),
    [
        ([[1, 1], [1, 0]], 1, 2),
        ([[1, 0], [1, 1]], 2, 2),
        ([[1, 1, 0], [1, 0, 0], [0, 1, 1]], 2, 3),
        ([[1, 1, 1]], 1, 1),
        ([[0], [0]], 0, 0),
    ],
)
def test_texts_are_paired_as_they_come_or_in_as_many_pairs_as_there_can_be(matching, as_they_come, most):
    table = np.array(matching, bool)
    assert PAIRINGS["vanilla"](table) == as_they_come
    assert PAIRINGS["max_matching"](table) == most


@pytest.mark.parametrize(
    "polygon", [square(0, side=0), ((0, 0), (5, 5), (10, 10), (3, 3)), ((0, 0), (1, np.nan), (1, 1))]
)
def test_a_polygon_without_an_area_matches_nothing(polygon):
    assert of_one_image([instance(polygon)], TextTruth(None, square(0))) == (0, 0, 0)


def test_what_is_written_is_icdars_zip(tmp_path):
    items = (Item(Path("img_1.jpg")), Item(Path("img_2.jpg")))
    found = [[instance(square(0)), instance(square(20.6), 0.2)], []]
    (path,) = HmeanIou().write(found, Dataset(items), tmp_path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["res_img_1.txt", "res_img_2.txt"]
        assert archive.read("res_img_1.txt") == b"0,0,10,0,10,10,0,10\r\n"
        assert archive.read("res_img_2.txt") == b""


@pytest.mark.parametrize("truth", [TextTruth("word"), ObjectTruth((0, 0, 1, 1))])
def test_a_data_set_that_has_no_polygons_is_refused(truth):
    with pytest.raises(CompileError, match="does not say where its texts are"):
        of_one_image([], truth)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"strategy": "vanila"}, "there is no strategy 'vanila': did you mean vanilla"),
        ({"pred_score_thrs": (0.9, 0.3, 0.1)}, "there are no scores to try"),
        ({"pred_score_thrs": (0.3, 0.9, 0)}, "there are no scores to try"),
        ({"pred_score_thrs": (0.3, 0.9, 1e-9)}, "there are no scores to try"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        HmeanIou(**settings)
