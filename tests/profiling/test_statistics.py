"""What samples come to, beside Python's own statistics."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.profiling import Spread, Statistics

SECONDS = st.lists(st.floats(1e-6, 10), min_size=2, max_size=300)


@given(SECONDS)
def test_the_figures_are_those_of_the_standard_library(seconds):
    found = Statistics.of(seconds)
    hundredths = statistics.quantiles(seconds, n=100, method="inclusive")
    assert (found.count, found.minimum, found.maximum) == (len(seconds), min(seconds), max(seconds))
    assert found.mean == pytest.approx(statistics.fmean(seconds))
    assert found.median == pytest.approx(statistics.median(seconds))
    assert [found.p90, found.p99] == pytest.approx([hundredths[89], hundredths[98]])


@given(SECONDS)
def test_quartiles_are_those_of_the_standard_library(ratios):
    found = Spread.of(ratios)
    assert [found.lower, found.median, found.upper] == pytest.approx(
        statistics.quantiles(ratios, n=4, method="inclusive")
    )


def test_one_sample_is_all_of_its_figures():
    assert {value for _, value in Statistics.of([0.25]).rows} == {0.25}
