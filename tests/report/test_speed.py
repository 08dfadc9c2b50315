"""What is said of a lower precision's speed, and which precision is chosen by it."""

import pytest

from compiler.report.speed import Speed, Tried, fastest_of
from compiler.report.text import speed_lines


def speed(ratio, precision="int8"):
    return Speed(precision, 10 * ratio, 10.0, "AVX2 without VNNI")


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (0.62, "int8 0.62 of fp32 here (6.2 of 10 ms, AVX2 without VNNI)"),
        (1.25, "int8 is slower than fp32: 1.25 of its time here (12.5 of 10 ms, AVX2 without VNNI)"),
        (1.02, "int8 1.02 of fp32 here (10.2 of 10 ms, AVX2 without VNNI), which is no difference"),
    ],
)
def test_it_is_said_as_it_is(ratio, said):
    assert str(speed(ratio)) == said
    (line,) = speed_lines(speed(ratio), ())
    assert ("[yellow]" in line) == (ratio > 1.1)


def test_nothing_is_said_where_nothing_was_measured():
    assert speed_lines(None, ()) == []


def test_the_fastest_is_chosen():
    assert fastest_of((Tried("fp16", speed=speed(0.9)), Tried("int8", speed=speed(0.6)))) == "int8"


@pytest.mark.parametrize(
    "other",
    [
        Tried("int8", speed=speed(1.2)),
        Tried("int8", speed=speed(0.99)),
        Tried("int8", problem="beyond its tolerance", speed=speed(0.5)),
        Tried("int8", problem="nothing can be quantised"),
        Tried("int8"),
    ],
    ids=["slower", "as fast", "not proven", "not built", "not measured"],
)
def test_fp32_is_chosen_where_the_other_is(other):
    assert fastest_of((other,)) == "fp32"


def test_what_was_tried_is_shown_with_what_was_chosen():
    tried = (Tried("fp32"), Tried("bf16", "this processor\n has none"), Tried("int8", speed=speed(0.6), chosen=True))
    lines = speed_lines(speed(0.6), tried)
    assert [line.split()[:2] for line in lines] == [["tried", "fp32"], ["tried", "bf16:"], ["chosen", "int8"]]
    assert "bf16: this processor has none" in lines[1]


@pytest.mark.parametrize("times", [(1.0, 0.0), (-1.0, 1.0), (float("nan"), 1.0), (1.0, float("inf"))])
def test_what_is_no_time_is_refused(times):
    with pytest.raises(ValueError, match="no times"):
        Speed("int8", *times, "here")
