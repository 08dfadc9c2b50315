"""Engines in turns: the fastest run of each counts, and no turn begins after the time is up."""

import pytest

from compiler.stages import speed
from compiler.stages.speed import FEWEST_TURNS, MOST_TURNS, SECONDS, fastest_in_turns, machine_in_words


class Played:
    """A clock, and runs that take the seconds they are told to."""

    def __init__(self):
        self.now = 0.0
        self.ran = []

    def run(self, name, *seconds):
        left = list(seconds)

        def one():
            self.ran.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return one

    def __call__(self):
        return self.now


def test_the_first_run_does_not_count_and_the_fastest_does():
    clock = Played()
    runs = [clock.run("a", 0.001, 0.5, 0.2, 0.4), clock.run("b", 9.0, 0.3)]
    assert fastest_in_turns(runs, clock) == pytest.approx((0.2, 0.3))
    assert clock.ran[:6] == ["a", "b", "a", "b", "a", "b"]


def test_slow_engines_have_few_turns_and_fast_ones_no_more_than_needed():
    clock = Played()
    fastest_in_turns([clock.run("a", SECONDS), clock.run("b", SECONDS)], clock)
    assert clock.ran.count("a") == 1 + FEWEST_TURNS
    clock = Played()
    fastest_in_turns([clock.run("a", 1e-6), clock.run("b", 1e-6)], clock)
    assert clock.ran.count("b") == 1 + MOST_TURNS


@pytest.mark.parametrize(
    ("features", "saturates", "words"),
    [
        (["AVX2", "FMA3"], True, "AVX2 without VNNI"),
        (["AVX2", "AVX512F", "AVX512VNNI"], False, "AVX-512 with VNNI"),
        (["ASIMD", "ASIMDDP"], False, "aarch64 with dot products"),
        (["ASIMD"], False, "aarch64 without dot products"),
        ([], False, "aarch64"),
    ],
)
def test_a_processor_is_told_by_what_int8_depends_on(features, saturates, words, monkeypatch):
    monkeypatch.setattr(speed, "processor_features", lambda: features)
    monkeypatch.setattr(speed, "sums_saturate", lambda: saturates)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert machine_in_words() == words
