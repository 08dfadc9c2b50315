"""The steps of a prediction: named where they are taken, timed by whoever asks, and nobody's business otherwise."""

from __future__ import annotations

import threading
from itertools import count

import pytest

from compiler.spans import Span, SpanRecord


@Span("double")
def doubled(number):
    """A number, twice."""
    return 2 * number


@Span("halve")
def halved(number):
    return number if number <= 1 else halved(number / 2)


def ticking():
    """A clock that goes on by a second whenever it is looked at."""
    return map(float, count()).__next__


def test_a_step_takes_from_its_beginning_to_its_end_and_parts_are_below_the_whole():
    with SpanRecord(ticking()) as record:
        for _ in range(2):
            with Span("whole"):  # 0 and 6
                with Span("part"):  # 1 to 2 and 7 to 8
                    pass
                assert doubled(4) == 8  # 3 to 4
    assert record.seconds == {
        ("whole",): [5.0, 5.0],
        ("whole", "part"): [1.0, 1.0],
        ("whole", "double"): [1.0, 1.0],
    }
    assert list(record.seconds) == [("whole",), ("whole", "part"), ("whole", "double")]


def test_a_step_within_itself_is_a_part_of_itself():
    with SpanRecord(ticking()) as record:
        halved(4)
    assert record.seconds == {("halve",): [5.0], ("halve",) * 2: [3.0], ("halve",) * 3: [1.0]}


def test_a_step_that_fails_ends_too():
    with SpanRecord(ticking()) as record:
        with pytest.raises(ZeroDivisionError), Span("whole"):
            doubled(1 / 0)
        doubled(1)
    assert record.seconds == {("whole",): [1.0], ("double",): [1.0]}


def test_nothing_is_recorded_outside_of_a_record_nor_in_another_thread():
    doubled(1)
    with SpanRecord() as record:
        other = threading.Thread(target=doubled, args=(1,))
        other.start()
        other.join()
    doubled(1)
    assert record.seconds == {}


def test_a_record_within_another_has_its_steps_to_itself():
    with SpanRecord() as outer, Span("outer"):
        with SpanRecord() as inner:
            doubled(1)
        doubled(1)
    assert list(inner.seconds) == [("double",)]
    assert list(outer.seconds) == [("outer",), ("outer", "double")]


def test_a_function_keeps_its_name_and_what_it_says_of_itself():
    assert (doubled.__name__, doubled.__doc__) == ("doubled", "A number, twice.")
