"""Bundles are measured in turns: who runs when, and how often."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from compiler.config.sizes import InputSize
from compiler.errors import UsageError
from compiler.profiling.measure import ROUNDS, SETTLING, block_sizes, in_turns, labels_of, profile
from compiler.profiling.results import Timing

INPUT = InputSize(1, (32, 32))


class Engine:
    """Stands in for a process: each run of it takes as long as it says."""

    def __init__(self, name, seconds, turns):
        self.label, self.worker, self.opened = name, self, SimpleNamespace(backend="any")
        self._seconds, self._turns = seconds, turns

    def block(self, count, settling):
        self._turns.append((self.label, count, settling))
        return (self._seconds,) * count


def taken(names, iterations):
    """Who had which turns, what came of them, and what was told."""
    turns, told = [], []
    engines = [Engine(name, index + 1.0, turns) for index, name in enumerate(names)]
    timings = in_turns(engines, [Timing(INPUT, 9.0, ())] * len(names), iterations, told.append)
    return turns, timings, told


@pytest.mark.parametrize("iterations", [1, 3, 10, 11, 199, 200, 1001])
def test_rounds_are_as_even_as_can_be_and_come_to_all_iterations(iterations):
    sizes = block_sizes(iterations)
    assert sum(sizes) == iterations
    assert len(sizes) == min(iterations, ROUNDS)
    assert max(sizes) - min(sizes) <= 1


def test_two_bundles_take_turns_and_every_other_round_goes_the_other_way():
    turns, timings, _ = taken("ab", 40)
    assert "".join(name for name, *_ in turns) == "abba" * 5
    assert {count for _, count, _ in turns} == {4}
    assert [timing.samples for timing in timings] == [(1.0,) * 40, (2.0,) * 40]
    assert all(len(timing.rounds) == ROUNDS for timing in timings)


def test_every_turn_begins_with_runs_that_do_not_count_where_there_are_others():
    assert {settling for *_, settling in taken("abc", 20)[0]} == {SETTLING}
    assert {settling for *_, settling in taken("a", 20)[0]} == {0.0}


def test_every_round_is_told_with_all_that_was_measured_until_then():
    told = taken("ab", 30)[2]
    assert [len(one.timing.samples) for one in told if one.label == "a"] == list(range(3, 31, 3))
    assert all(one.timing.first == 9.0 for one in told)


def test_bundles_are_called_after_their_folders_unless_two_are_called_the_same():
    assert labels_of(["outputs/a", "outputs/b"]) == ["a", "b"]
    assert labels_of(["one/a", "two/a", "one/b"]) == ["one/a", "two/a", "one/b"]
    assert labels_of(["one/a", "one/a"]) == ["a", "a (2)"]


@pytest.mark.parametrize(("name", "number"), [("iterations", 0), ("iterations", 10**7), ("warmup", -1)])
def test_numbers_of_runs_that_cannot_be_are_refused(name, number):
    with pytest.raises(UsageError, match=name) as caught:
        profile("anywhere", **{name: number})
    assert caught.value.where == f"{name}={number}"


def test_no_bundle_at_all_is_refused():
    with pytest.raises(UsageError, match="there is no bundle to measure"):
        profile([])
