"""Text as it may be shown."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.printable import LONGEST, on_one_line, printable, shortened

any_text = st.text(st.characters())  # lone surrogates too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("50%\r100%", r"50%\r100%"),
        ("a\0b", r"a\x00b"),
        ("\x9b31m", r"\x9b31m"),
        ("invoice\u202egpj.exe", r"invoice\u202egpj.exe"),
        ("cat\u200b", r"cat\u200b"),
        ("\u2066cat\u2069", r"\u2066cat\u2069"),
        ("\ufeffcat", r"\ufeffcat"),
        ("caf\udce9", r"caf\udce9"),
        ("one\u2028two", r"one\u2028two"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_acts_or_hides_is_escaped(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["", "person", "Straße", "人", "שלום", "🙂", "a\nb\tc", r"\x1b", "[bold]", "😀 ✓ σ"])
def test_what_is_seen_as_itself_is_left_alone(text):
    assert printable(text) == text


@given(any_text)
def test_nothing_is_left_that_is_not_seen(text):
    kinds = {unicodedata.category(one) for one in printable(text) if one not in "\n\t"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(any_text)
def test_escaping_twice_is_escaping_once(text):
    assert printable(printable(text)) == printable(text)


@given(any_text)
def test_what_is_shown_can_be_written_anywhere(text):
    assert printable(text).encode("utf-8").decode("utf-8") == printable(text)


def test_a_long_text_is_cut_and_says_by_how_much():
    assert shortened("x" * 200_000) == "x" * LONGEST + f"… ({200_000 - LONGEST:,} more characters)"


def test_a_text_that_is_just_short_enough_is_whole():
    assert shortened("x" * LONGEST) == "x" * LONGEST
    assert shortened("xyz", longest=2) == "xy… (1 more characters)"


def test_a_text_within_a_line_is_cut_like_any_other():
    assert on_one_line("x" * 200_000) == shortened("x" * 200_000)
    assert on_one_line("a\nb", longest=3) == "a\\nb"
    assert on_one_line("a\nb", longest=2) == "a\\n… (1 more characters)"


@given(any_text)
def test_a_text_within_a_line_begins_no_other(text):
    line = on_one_line(text)
    assert len(line.splitlines()) <= 1
    assert "\t" not in line
