"""Words that are found and read, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compiler.datasets import Dataset, Item, TextTruth
from compiler.errors import CompileError
from compiler.metrics.text_spotting import SpottingHmean, is_same
from compiler.runtime.text_spotting import Word


def square(x: float, size: float = 10.0) -> tuple[tuple[float, float], ...]:
    return (x, 0.0), (x + size, 0.0), (x + size, size), (x, size)


def word(x: float, text: str, score: float = 0.95) -> Word:
    return Word(np.float32(square(x)), text, 0.5, score, (0.5,) * len(text))


def measured(truth: list[TextTruth], *found: Word) -> tuple[float, float, float]:
    scores = SpottingHmean().score([found], Dataset((Item(Path("a.jpg"), tuple(truth)),)))
    return scores["icdar/precision"], scores["icdar/recall"], scores["icdar/hmean"]


HOT, DOG = TextTruth("Hot", square(0)), TextTruth("dog", square(20))


def test_a_word_counts_where_it_is_found_and_read():
    assert measured([HOT, DOG], word(0, "HOT"), word(20, "dog")) == (1, 1, 1)
    assert measured([HOT, DOG], word(0, "hot"), word(20, "dig")) == (0.5, 0.5, 0.5)
    assert measured([HOT, DOG], word(0, "hot")) == (1, 0.5, pytest.approx(2 / 3))
    assert measured([HOT], word(0, "hot"), word(40, "hot")) == (0.5, 1, pytest.approx(2 / 3))
    assert measured([HOT], word(5.1, "hot")) == (0, 0, 0), "it overlaps by a third"


def test_a_true_word_takes_the_first_that_is_near_whatever_that_reads():
    assert measured([HOT], word(0, "hat"), word(0, "hot")) == (0, 0, 0)


def test_what_lies_in_an_ignored_word_counts_neither_way():
    ignored = TextTruth(None, square(20), ignore=True)
    assert measured([HOT, ignored], word(0, "hot"), word(20, "anything")) == (1, 1, 1)


def test_the_best_threshold_of_the_detectors_score_counts():
    assert measured([HOT], word(0, "hot", 0.85), word(40, "x", 0.45)) == (1, 1, 1)
    assert measured([HOT], word(0, "hot", 0.25)) == (0, 0, 0), "below all thresholds"


@pytest.mark.parametrize(
    ("written", "read", "expected"),
    [
        ("Joe's", "JOE'S", True),
        ("(Open)", "open", True),
        ("(Open)", "(open", True),
        ("(Open)", "open)", True),
        ("stop!", "stop", True),
        ("stop!!", "stop", False),
        ("stop", "stop!", False),
        ("a.b", "ab", False),
        ("stop", "", False),
    ],
)
def test_what_reads_the_same(written, read, expected):
    """ICDAR 2015: a special character at either end of the true word need not be read, and one only."""
    assert is_same(written, read) == expected


def test_nothing_to_read_is_what_mmocr_calls_it():
    assert measured([]) == (1, 1, 1)
    assert measured([], word(0, "hot")) == (0, 1, 0)


def test_places_without_texts_are_refused():
    with pytest.raises(CompileError, match="does not say what is written where"):
        measured([TextTruth(None, square(0))])
    with pytest.raises(CompileError, match="does not say what is written where"):
        measured([TextTruth("hot")])
