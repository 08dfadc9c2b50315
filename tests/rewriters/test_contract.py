import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriters import Contract, RewriterError

ERRORS = st.just(math.nan) | st.floats(min_value=0)


@given(ERRORS)
def test_exact_holds_for_no_difference_only(error):
    assert Contract.exact.holds(error) == (error == 0)


@given(ERRORS, st.floats(min_value=1e-12, max_value=1e3))
def test_close_holds_up_to_its_tolerance_and_never_for_nan_or_infinity(error, atol):
    assert Contract.close(atol).holds(error) == (math.isfinite(error) and error <= atol)


@given(ERRORS)
def test_lossy_always_holds(error):
    assert Contract.lossy("rounded").holds(error)


def test_contracts_read_as_they_are_written():
    written = [str(contract) for contract in (Contract.exact, Contract.close(1e-5), Contract.lossy("rounded"))]
    assert written == ["exact", "close(1e-05)", "lossy: rounded"]


@pytest.mark.parametrize("atol", [0, -1, math.nan, math.inf])
def test_close_needs_a_tolerance(atol):
    with pytest.raises(RewriterError, match=r"Contract\.exact"):
        Contract.close(atol)


def test_lossy_needs_a_reason():
    with pytest.raises(RewriterError, match="reason"):
        Contract.lossy(" ")
