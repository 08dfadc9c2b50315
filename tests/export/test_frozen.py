"""Whether a Program is wrong for other inputs, whatever the kind and number of what comes out."""

import numpy as np
import pytest

from compiler.errors import CompileError
from compiler.export import ExportOptions
from compiler.export.frozen import check_not_frozen

OPTIONS = ExportOptions("dynamo", 18, {}, ("output",))
INPUTS = {"input": np.zeros((1, 2), np.float32)}


def check(found, expected):
    """Check a Program that gives one array where the network gives another."""
    pairs = [(INPUTS, {"output": np.asarray(expected)})]
    check_not_frozen(lambda tensors: {"output": np.asarray(found)}, pairs, OPTIONS, lambda first, second: first)


EQUAL = [[True, False], np.zeros((0, 4), np.float32), np.array([3, 1], np.uint8), 2.0, [1.0, 2.0]]


@pytest.mark.parametrize("output", EQUAL, ids=["booleans", "empty", "uint8", "single", "floats"])
def test_equal_outputs_are_right(output):
    check(output, output)


@pytest.mark.parametrize(
    ("found", "expected", "why"),
    [
        ([True, True], [True, False], "differs by 1 "),
        (np.array([1, 3], np.uint8), np.array([3, 1], np.uint8), "differs by 2 "),  # and not by 254
        (np.array([4, 1], np.uint8), np.array([3, 1], np.uint8), "differs by 1 "),
        ([1.0, np.nan], [1.0, 2.0], "differs by nan "),
        ([1.0, 2.02], [1.0, 2.0], "differs by 0.02 "),
        (np.zeros((0, 4)), np.zeros((1, 4)), "is (0, 4), not (1, 4)"),
    ],
)
def test_other_outputs_are_wrong(found, expected, why):
    with pytest.raises(CompileError, match="wrong for an input of 1x2") as caught:
        check(found, expected)
    assert why in caught.value.why


def test_rounding_is_right():
    check([1.0, 2.001], [1.0, 2.0])
