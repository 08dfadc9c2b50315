"""Shares of words and letters that are right are those of MMOCR."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from compiler.datasets import Dataset, Item, TextTruth, read_icdar_words
from compiler.errors import CompileError, as_compile_error
from compiler.metrics.text_recognition import CharacterAccuracy, NormalizedEditDistance, WordAccuracy
from compiler.tasks.text_recognition import Text
from tests.metrics.text_images import WORDS

GOLDEN = json.loads((Path(__file__).parents[1] / "data/text_scores.json").read_text())
"""What MMOCR 1.0.1 says of the same words: see `ask_mmocr.py`. It rounds to four digits."""
METRICS = {"words": WordAccuracy(), "distance": NormalizedEditDistance(), "characters": CharacterAccuracy()}
BOX = ((0.0, 0.0), (9.0, 0.0), (9.0, 5.0), (0.0, 5.0))


def text(found):
    return Text(found, 0.9, (), np.zeros(4, np.float32))


def words(*pairs):
    items = tuple(Item(Path(f"word_{index}.png"), (TextTruth(truth),)) for index, (truth, _) in enumerate(pairs))
    return [[text(found)] for _, found in pairs], Dataset(items)


@pytest.mark.parametrize("name", METRICS)
def test_the_numbers_are_those_of_mmocr(name):
    scores = METRICS[name].score(*words(*WORDS))
    assert scores == pytest.approx({f"recog/{key}": value for key, value in GOLDEN[name].items()}, abs=5e-5)
    assert list(scores) == [f"recog/{key}" for key in GOLDEN[name]], "in MMOCR's order"
    assert METRICS[name].HEADLINE in scores


@pytest.mark.parametrize(
    ("truth", "found", "exact", "case", "symbols"),
    [
        ("EXIT", "EXIT", 1, 1, 1),
        ("EXIT", "exit", 0, 1, 1),
        ("it's", "Its", 0, 0, 1),
        ("a^b", "ab", 0, 0, 0),
        ("Straße", "strae", 0, 0, 1),
        ("中文", "中", 0, 0, 0),
    ],
    ids=["all right", "in other letters", "but for a symbol", "^ is none", "ß is one", "Chinese is none"],
)
def test_what_makes_a_word_right(truth, found, exact, case, symbols):
    assert list(WordAccuracy().score(*words((truth, found))).values()) == [exact, case, symbols]


def test_the_edit_distance_is_by_the_longer_word():
    scores = NormalizedEditDistance().score(*words(("kitten", "sitting"), ("abc", "abc")))
    assert scores["recog/1-N.E.D"] == pytest.approx(1 - (3 / 7 + 0) / 2)


def test_a_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidfuzz.distance", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        NormalizedEditDistance().score(*words(("a", "b")))
    caught.value.name = "rapidfuzz.distance"  # as it is where the package is not there at all
    told = as_compile_error(caught.value)
    assert (told.what, told.fix) == ("rapidfuzz is not installed", "pip install 'deploy-compiler[evaluate]'")
    assert WordAccuracy().score(*words(("a", "a")))["recog/word_acc"] == 1, "which needs none"


def test_words_in_an_image_are_paired_with_its_boxes():
    truth = (TextTruth("one", BOX), TextTruth("###", BOX, ignore=True), TextTruth(None, BOX), TextTruth("two", BOX))
    item = Item(Path("page.jpg"), truth)
    assert len(item.boxes) == 3
    found = [text("one"), text("whatever"), text("twa")]
    assert WordAccuracy().score([found], Dataset((item,)))["recog/word_acc"] == 0.5
    with pytest.raises(CompileError, match="2 texts were read where 3 are written"):
        WordAccuracy().score([found[:2]], Dataset((item,)))


def test_where_nothing_is_told_nothing_is_measured():
    page = Item(Path("page.jpg"), (TextTruth("###", BOX, ignore=True),))
    word = Item(Path("word.jpg"), (TextTruth("###", ignore=True),))
    for metric in METRICS.values():
        scores = metric.score([[], [text("whatever")]], Dataset((page, word)))
        assert all(map(math.isnan, scores.values()))


def test_modes_are_chosen_and_a_wrong_one_is_refused():
    chosen = WordAccuracy(("exact",))
    assert list(chosen.score(*words(("a", "A")))) == ["recog/word_acc", "recog/word_acc_ignore_case_symbol"]
    with pytest.raises(ValueError, match="there is no mode 'ignorecase': did you mean ignore_case"):
        WordAccuracy(("ignorecase",))


def test_what_is_written_is_read_as_icdars_words(tmp_path):
    predictions, dataset = words(("a", 'say "a\\b"'), ("b", "中 文"))
    (path,) = WordAccuracy().write(predictions, dataset, tmp_path)
    read = read_icdar_words(path, tmp_path)
    assert [item.truth[0].text for item in read.items] == ['say "a\\b"', "中 文"]
    assert [item.path.name for item in read.items] == ["word_0.png", "word_1.png"]


@pytest.mark.parametrize("name", METRICS)
def test_a_word_without_an_area_is_not_taken_for_the_whole_image(name):
    flat = TextTruth("word", ((0.0, 5.0), (9.0, 5.0), (4.0, 5.0)))
    dataset = Dataset((Item(Path("a.png"), (flat,)), Item(Path("b.png"), (TextTruth("word", BOX), flat))))
    scores = METRICS[name].score([[], [text("word")]], dataset)
    assert scores[METRICS[name].HEADLINE] == 1, "of the second image, the word that was looked at"
    with pytest.raises(CompileError, match="1 texts were read where 0 are written"):
        METRICS[name].score([[text("word")], [text("word")]], dataset)
