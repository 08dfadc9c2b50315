"""A hundred of onnx's own node tests, as files of somebody else's on the data that comes with them."""

import pytest

from tests.node_tests import node_tests, results

# Without `cast`: NumPy lacks a type for most of what it casts, and all other inputs of it hold NaN, which is refused.
MODULES = (
    *(
        "and_",
        "argmax",
        "clip",
        "compress",
        "concat",
        "constantofshape",
        "cumsum",
        "expand",
        "flatten",
        "gather",
    ),
    *("gathernd", "isinf", "loop", "lstm", "matmul", "maxpool", "nonmaxsuppression", "nonzero", "onehot", "pad", "pow"),
    *("rangeop", "reducesum", "reshape", "resize", "scatternd", "sequenceinsert", "shape", "size", "slice", "split"),
    *("string_concat", "topk", "unique", "where"),
)
"""Of onnx's: their inputs are shapes, axes, indices, truth values, scalars and empty beside ordinary ones."""
REASONS = (
    "is no tensor of numbers",  # texts, sequences, 4 and 8 bits that NumPy does not have
    "NOT_IMPLEMENTED",  # by ONNX Runtime
    "guarantees support for models stamped with official released onnx opset",  # an opset that is newer than it
    "cannot be built in bf16",
    "nothing was compared",
    "is not finite",
    "has no inputs",
)


@pytest.fixture(scope="module", params=[40, pytest.param(100, marks=pytest.mark.slow)])
def most(request):
    """How many of them."""
    return request.param


@pytest.fixture(scope="module")
def found(most):
    tests = node_tests(MODULES)
    return list(results(tests[:: max(1, len(tests) // most)][:most]))


def test_nothing_is_a_defect(found):
    assert [one for one in found if one.verdict == "defect"] == []


def test_what_is_not_proven_has_its_true_reason(found):
    unexplained = [one for one in found if one.verdict != "proven" and not any(why in one.why for why in REASONS)]
    assert unexplained == []


def test_nearly_all_of_numbers_are_proven(found, most):
    numeric = [one for one in found if one.verdict == "proven" or not any(why in one.why for why in REASONS[:4])]
    assert len(numeric) > most / 2
    assert sum(one.verdict == "proven" for one in numeric) >= 0.95 * len(numeric)
