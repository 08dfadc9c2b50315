"""What errors are measured in: it suits the numbers, and still sees what is wrong with them."""

import math

import numpy as np
import pytest

from compiler.numerics import difference, yardstick_of
from compiler.proof import Tolerance, compare_arrays

FP32 = Tolerance(1e-4)


def probabilities(rows=40, classes=6625, sharp=12.0):
    """Rows of a softmax over many classes, most of them near zero, as a reader of Chinese gives them."""
    logits = np.random.default_rng(0).normal(size=(rows, classes)) * 2
    logits[np.arange(rows), np.arange(rows) * 7] += sharp
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def test_probabilities_of_many_classes_are_measured_in_their_peak():
    reference = probabilities()
    assert float(reference.std()) < 0.02
    assert yardstick_of(reference).name == "peak"
    rounded = reference.copy()
    rounded[3, 21] -= np.float32(3.8e-6)
    assert 3.8e-6 / reference.std() > 1e-4, "as its deviation sees it"
    assert FP32.holds(compare_arrays("output", reference, rounded))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p: p * np.float32(1.001),  # all of them a little
        lambda p: np.roll(p, 1, axis=1),  # another class
        lambda p: p[::-1],  # another row
        lambda p: np.where(p == p.max(), p - np.float32(1e-3), p),  # one of them by more than rounding
        lambda p: p + np.float32(2e-6) * (p < 1e-3),  # those that are hardly seen, all in one direction
    ],
    ids=["scaled", "rolled", "reversed", "one", "floor"],
)
def test_what_is_wrong_with_probabilities_is_still_seen(wrong):
    reference = probabilities()
    assert not FP32.holds(compare_arrays("output", reference, np.asarray(wrong(reference), np.float32)))


def test_probabilities_that_are_all_small_are_measured_in_what_they_are():
    flat = probabilities(sharp=0.0)
    assert yardstick_of(flat).length == flat.max() < 0.2
    assert not FP32.holds(compare_arrays("output", flat, flat + np.float32(1e-4)))


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([0.0, 0.5, 1.0], "peak"),
        ([-0.1, 0.5, 1.0], "σ"),  # a logit
        ([0.0, 0.5, 1.5], "σ"),
        ([0.0, 320.0, 640.0], "σ"),  # a coordinate
        ([5.0, 5.0, np.nextafter(np.float32(5), np.float32(6))], "size"),
        ([0.0, 0.0, 0.0], "size"),
        (np.array([1, 7, 80]), "1"),
    ],
)
def test_the_yardstick_suits_the_numbers(values, name):
    array = values if isinstance(values, np.ndarray) else np.array(values, np.float32)
    assert yardstick_of(array).name == name


def test_a_class_that_is_another_is_never_near():
    labels = np.arange(80)
    apart = difference(labels, np.where(labels == 3, 4, labels))
    assert apart.relative == 1.0
    assert 1 / labels.std() < 0.1, "as their deviation sees it"


def test_equal_infinities_are_equal_and_named():
    reference = np.array([-np.inf, 1.0, 2.0, np.inf], np.float32)
    apart = difference(reference, reference.copy())
    assert (apart.largest, apart.relative, apart.typical, apart.cosine) == (0, 0, 0, pytest.approx(1))
    assert apart.oddity == "infinite in 2 numbers of the reference and in 2 here"
    assert apart.yardstick.length == 0.5, "of what is finite"
    assert FP32.holds(compare_arrays("output", reference, reference.copy()))


@pytest.mark.parametrize("found", [[np.inf, 1.0, 2.0], [-3e38, 1.0, 2.0], [-np.inf, 1.0, np.inf]])
def test_an_infinity_that_only_one_side_has_is_infinitely_wrong(found):
    reference = np.array([-np.inf, 1.0, 2.0], np.float32)
    comparison = compare_arrays("output", reference, np.array(found, np.float32))
    assert comparison.max_absolute_error == math.inf
    assert not Tolerance(1e9).holds(comparison)


@pytest.mark.parametrize("found", [np.nan, 1.0])
def test_what_is_not_a_number_is_never_equal_and_named(found):
    reference = np.array([np.nan, 1.0, 2.0], np.float32)
    comparison = compare_arrays("output", reference, np.array([found, 1.0, 2.0], np.float32))
    assert not Tolerance(1e9).holds(comparison)
    assert not Tolerance(None, cosine=0.0, typical=1e9).holds(comparison)
    assert comparison.oddity.startswith("NaN in 1 numbers of the reference")


def test_large_numbers_do_not_overflow():
    large = np.array([1e30, -2e30, 3e30], np.float32)
    apart = difference(large, large)
    assert (apart.largest, apart.cosine) == (0.0, pytest.approx(1.0))
