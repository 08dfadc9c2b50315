import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewriters import RewriterError
from rewriters.apply.measure import detached_copy, max_absolute_error

NUMBERS = st.lists(st.floats(allow_nan=True, width=32), min_size=1, max_size=8)


@given(NUMBERS)
def test_an_output_does_not_differ_from_itself(numbers):
    output = torch.tensor(numbers)
    assert max_absolute_error(output, output.clone()) == 0


@given(NUMBERS)
def test_a_number_beside_nan_is_never_small(numbers):
    expected = torch.tensor([*numbers, 1.0])
    actual = torch.tensor([*numbers, math.nan])
    assert math.isnan(max_absolute_error(expected, actual))


@pytest.mark.parametrize(
    ("expected", "actual", "error"),
    [
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]), 0.5),
        ((torch.zeros(2), [torch.zeros(3)]), (torch.zeros(2), [torch.ones(3)]), 1.0),
        (torch.tensor([True, False]), torch.tensor([True, True]), 1.0),
        (torch.tensor([math.inf]), torch.tensor([-math.inf]), math.inf),
        (torch.empty(0), torch.empty(0), 0.0),
        (None, None, 0.0),
    ],
)
def test_the_largest_difference_over_all_tensors_counts(expected, actual, error):
    assert max_absolute_error(expected, actual) == error


@pytest.mark.parametrize("actual", [torch.zeros(1, 2), (torch.zeros(2), torch.zeros(2)), None])
def test_other_shapes_cannot_be_compared(actual):
    with pytest.raises(RewriterError, match="instead of"):
        max_absolute_error(torch.zeros(2), actual)


def test_a_copy_is_out_of_reach_of_operations_in_place():
    original = {"x": [torch.zeros(2)], "mode": "nearest"}
    copied = detached_copy(original)
    copied["x"][0].add_(1)
    assert original["x"][0].sum() == 0
    assert copied["mode"] == "nearest"
