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
def test_close_holds_up_to_its_share_and_never_for_nan_or_infinity(error, share):
    assert Contract.close(share).holds(error) == (math.isfinite(error) and error <= share)


@pytest.mark.parametrize(
    ("error", "size", "holds"),
    [(9e-4, 1, True), (2e-3, 1, False), (0.5, 1e3, True), (2.0, 1e3, False), (9e-4, 1e-4, False), (9e-4, 0, True)],
)
def test_how_much_is_close_depends_on_how_large_the_numbers_are(error, size, holds):
    assert Contract.close(1e-3).holds(error, size) is holds
    assert Contract.exact.holds(error, size) is False


@given(ERRORS)
def test_lossy_always_holds(error):
    assert Contract.lossy("rounded").holds(error)


def test_contracts_read_as_they_are_written():
    written = [str(contract) for contract in (Contract.exact, Contract.close(1e-5), Contract.lossy("rounded"))]
    assert written == ["exact", "close(1e-05)", "lossy: rounded"]


@pytest.mark.parametrize("share", [0, -1, math.nan, math.inf])
def test_close_needs_a_share(share):
    with pytest.raises(RewriterError, match=r"Contract\.exact"):
        Contract.close(share)


def test_lossy_needs_a_reason():
    with pytest.raises(RewriterError, match="reason"):
        Contract.lossy(" ")
