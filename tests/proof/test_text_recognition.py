"""Readings are compared by the characters that differ."""

import numpy as np
import pytest

from compiler.proof import proof_of
from compiler.proof.text_recognition import edit_distance
from compiler.tasks import Sample, build_task
from compiler.tasks.text_recognition import (
    Text,
    TextRecognition,
)

CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
BOX = np.array([[4, 5, 64, 45]], "f4")


@pytest.fixture(scope="module")
def node():
    return {
        "_target_": "compiler.tasks.text_recognition.TextRecognition",
        "dictionary": {"_target_": "compiler.tasks.text_recognition.dictionary.Dictionary", "characters": CHARACTERS},
        "height": 32,
        "min_width": 32,
        "max_width": None,
        "width_divisor": 16,
        "mean": 127,
        "std": 127,
    }


@pytest.fixture(scope="module")
def recognition(node) -> TextRecognition:
    return build_task(node)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (60, 300, 3), np.uint8)


def test_samples_are_distinct_full_and_always_the_same(recognition, image):
    first, again = (proof_of(recognition).samples(Sample(image, BOX), 4, (32, 200)).tensors["input"] for _ in range(2))
    assert first.shape == (4, 1, 32, 200)
    np.testing.assert_array_equal(first, again)
    assert len({item.tobytes() for item in first}) == 4
    assert first.any(axis=(1, 2)).all()


def test_the_difference_is_that_of_the_worst_text(recognition):
    def texts(*words):
        return [Text(word, 1.0, (), np.zeros(4, "f4")) for word in words]

    assert proof_of(recognition).difference(texts("one", "two"), texts("one", "too")) == 1
    assert proof_of(recognition).difference(texts("one"), texts("one")) == 0
    assert proof_of(recognition).difference([], []) == 0
    assert proof_of(recognition).difference(texts("one"), []) == float("inf")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("", "", 0),
        ("word", "word", 0),
        ("word", "ward", 1),
        ("word", "words", 1),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
    ],
)
def test_the_edit_distance_counts_changed_characters(a, b, expected):
    assert edit_distance(a, b) == edit_distance(b, a) == expected
