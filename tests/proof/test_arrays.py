"""Whole outputs are compared number by number, on what is given or on noise."""

import numpy as np
import pytest

from compiler.proof import proof_of
from compiler.proof.arrays import repeated
from compiler.tasks import Sample
from compiler.tasks.arrays.spec import InputSpec
from compiler.tasks.arrays.task import NamedArray, RawTensors


def task(outputs=("output",), **shapes) -> RawTensors:
    return RawTensors(shapes or {"x": "1x2x3"}, outputs)


def test_items_that_are_given_come_first_and_the_rest_vary():
    given = {"x": np.arange(12, dtype=np.float32).reshape(2, 2, 3)}
    tensors = proof_of(task()).samples(task().read(given), 5, ()).tensors
    assert np.array_equal(tensors["x"][:2], given["x"])
    assert len({item.tobytes() for item in tensors["x"]}) == 5
    assert np.abs(tensors["x"][2] - given["x"][0]).max() < 2


def test_what_is_given_is_cut_or_begins_again_where_lengths_vary():
    sentence = RawTensors({"ids": "seqxn:int64"}, ("y",), axis_lengths={"seq": "2-3-7"})
    proof, sample = proof_of(sentence), sentence.read({"ids": np.array([[1], [2], [3]])})
    assert proof.samples(sample, 1, (2,)).tensors["ids"].T.tolist() == [[1, 2]]
    assert proof.samples(sample, 1, (7,)).tensors["ids"].T.tolist() == [[1, 2, 3, 1, 2, 3, 1]]
    assert proof.samples(sample, 3, (3,)).tensors["ids"].shape == (3, 3)
    assert proof.other_samples(sample, 2, (3,))["ids"].shape == (3, 2)


def results(**arrays):
    return [NamedArray(name, np.asarray(array, np.float32)) for name, array in arrays.items()]


@pytest.mark.parametrize(
    ("a", "b", "difference"),
    [
        (results(x=[1, 2]), results(x=[1, 2]), 0),
        (results(x=[1, 2], y=[0]), results(x=[1, 2.5], y=[-3]), 3),
        (results(x=[]), results(x=[]), 0),
        (results(x=[1]), results(y=[1]), np.inf),
        (results(x=[1]), results(x=[1, 1]), np.inf),
        (results(x=[1]), results(x=[np.nan]), np.inf),
    ],
)
def test_the_difference_is_the_largest_between_two_numbers_in_the_same_place(a, b, difference):
    assert proof_of(task()).difference(a, b) == difference


def test_whole_numbers_vary_within_their_own_values():
    spec = InputSpec.parse("ids", "1x4:int64")
    varied = repeated(np.array([[1, 2, 3, 4]]), spec, 2)
    assert sorted(varied[1]) == [1, 2, 3, 4]
    assert varied[1].tolist() != [1, 2, 3, 4]


def test_equal_infinities_are_no_difference_and_others_are():
    one, other = ([NamedArray("y", np.float32([[-np.inf, value]]))] for value in (1.0, 2.0))
    proof = proof_of(task())
    assert proof.difference(one, one) == 0
    assert proof.difference(one, other) == 1
    assert proof.difference(one, [NamedArray("y", np.float32([[np.inf, 1.0]]))]) == float("inf")


@pytest.mark.parametrize(("text", "is_noise"), [("1x3", True), ("1x3:float32:0-255", False), ("1x3:uint8", False)])
def test_noise_is_told_of_unless_it_is_said_what_an_input_holds(text, is_noise):
    proof = proof_of(RawTensors({"x": text}, ("y",)))
    assert ("model.inputs.x=1x3:float32:0-255" in proof.caution(Sample({}))) is is_noise
    assert proof.caution(Sample({"x": np.zeros((1, 3), np.float32)})) == ""
