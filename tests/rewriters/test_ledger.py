import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriters import Contract, Entry, Ledger, graph_rewriter, unfired, with_measurement

TEXT = st.text(max_size=20)
ENTRIES = st.builds(
    Entry,
    name=TEXT,
    kind=st.sampled_from(["function", "module", "graph"]),
    status=st.sampled_from(["fired", "skipped"]),
    times=st.integers(0, 99),
    where=st.lists(TEXT, max_size=3).map(tuple),
    reason=TEXT,
    contract=TEXT,
    why=TEXT,
    max_absolute_error=st.none() | st.floats(min_value=0, allow_nan=False),
    holds=st.none() | st.booleans(),
)


@graph_rewriter(contract=Contract.close(0.1))
def fold(call, graph):
    """Folding is good."""
    return []


@given(ENTRIES)
def test_an_entry_survives_strict_json(entry):
    written = json.dumps(entry.to_dict(), allow_nan=False)
    assert Entry.from_dict(json.loads(written)) == entry


def test_not_a_number_survives_strict_json():
    entry = with_measurement(Ledger([fold]).entries()[0], fold.contract, math.nan)
    written = json.dumps(entry.to_dict(), allow_nan=False)
    assert math.isnan(Entry.from_dict(json.loads(written)).max_absolute_error)


def test_a_rewriter_that_nothing_happened_to_has_an_entry_too():
    (entry,) = Ledger([fold]).entries()
    assert (entry.status, entry.times, entry.reason) == ("skipped", 0, "pattern not found")


def test_firing_and_skipping_are_separate_entries():
    ledger = Ledger([fold])
    for where in ("a", "b", "a"):
        ledger.fired(fold, where)
    ledger.skipped(fold, "c", "too small")
    fired, skipped = ledger.entries()
    assert (fired.status, fired.times, fired.where) == ("fired", 3, ("a", "b"))
    assert (skipped.status, skipped.times, skipped.where, skipped.reason) == ("skipped", 1, ("c",), "too small")


@pytest.mark.parametrize(
    ("errors", "largest", "holds"),
    [([0.01, 0.05, 0.02], 0.05, True), ([0.05, 0.2], 0.2, False), ([math.nan, 0.01], math.nan, False)],
)
def test_the_largest_difference_is_held_against_the_contract(errors, largest, holds):
    ledger = Ledger([fold])
    ledger.fired(fold, "a")
    for error in errors:
        ledger.measured(fold, error)
    (entry,) = ledger.entries()
    assert entry.max_absolute_error == pytest.approx(largest, nan_ok=True)
    assert entry.holds is holds


def test_a_required_rewriter_that_did_not_fire_is_reported_with_its_reason():
    entries = Ledger([fold]).entries()
    assert unfired(["fold", "other"], entries) == {"fold": "pattern not found", "other": "it did not take part"}


def test_a_required_rewriter_that_fired_anywhere_is_fine():
    ledger = Ledger([fold])
    ledger.fired(fold, "a")
    ledger.skipped(fold, "b", "too small")
    assert unfired(["fold"], ledger.entries()) == {}
