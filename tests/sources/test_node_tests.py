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
MOST = 100
REASONS = (
    "is no tensor of numbers",  # texts, sequences, 4 and 8 bits that NumPy does not have
    "NOT_IMPLEMENTED",  # by ONNX Runtime
    "guarantees support for models stamped with official released onnx opset",  # an opset that is newer than it
    "cannot be built in bf16",
    "nothing was compared",
    "is not finite",
    "has no inputs",
)


@pytest.fixture(scope="module", params=[2, pytest.param(1, marks=pytest.mark.slow)])
def every(request):
    """Of the hundred: every second, or all."""
    return request.param


@pytest.fixture(scope="module")
def found(every):
    tests = node_tests(MODULES)
    hundred = tests[:: max(1, len(tests) // MOST)][:MOST]
    return list(results(hundred[::every]))


def test_nothing_is_a_defect(found):
    assert [one for one in found if one.verdict == "defect"] == []


def test_what_is_not_proven_has_its_true_reason(found):
    unexplained = [one for one in found if one.verdict != "proven" and not any(why in one.why for why in REASONS)]
    assert unexplained == []


def test_nearly_all_of_numbers_are_proven(found, every):
    numeric = [one for one in found if one.verdict == "proven" or not any(why in one.why for why in REASONS[:4])]
    assert len(numeric) > MOST / every / 2
    assert sum(one.verdict == "proven" for one in numeric) >= 0.95 * len(numeric)
