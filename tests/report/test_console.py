"""What a terminal is shown of texts that somebody else wrote."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from compiler.errors import CompileError
from compiler.events import StageFinished, Warned
from compiler.report.console import Screen, print_error, progress
from compiler.report.text import shown

HOSTILE = "\x1b[2J[bold]x[/]\r\nproven: every stage is within its tolerance\u202e"


def screen_of(write):
    file = io.StringIO()
    write(Screen(file=file, width=200, force_terminal=False))
    return file.getvalue()


def show_events(screen):
    with progress(screen) as listen:
        listen(StageFinished("load", 1.0, False, HOSTILE))
        listen(Warned(HOSTILE))


@pytest.mark.parametrize(
    "write",
    [
        lambda screen: print_error(screen, CompileError("it broke", where=HOSTILE)),
        lambda screen: screen.print(f"[bold]{shown(HOSTILE)}[/]"),
        show_events,
    ],
)
def test_hostile_text_is_shown_as_text_and_within_its_line(write):
    text = screen_of(write)
    assert not set(text) & set("\x1b\r\u202e")
    assert "[bold]x[/]" in text
    assert not any(line.startswith("proven") for line in text.splitlines())


def test_a_cell_that_nobody_thought_of_is_shown_without_controls_too():
    table = Table("name")
    table.add_row("\x1b]0;title\x07" + "n" * 200_000)
    text = screen_of(lambda screen: screen.print(table))
    assert r"\x1b]0;title\x07" in text
    assert "more characters" in text
    assert len(text) < 50_000


def test_our_own_markup_and_lines_still_count():
    assert screen_of(lambda screen: screen.print("[bold]one[/]\ntwo")) == "one\ntwo\n"


@given(st.text(st.characters()))
def test_any_text_can_be_shown(text):
    assert screen_of(lambda screen: screen.print(shown(text), soft_wrap=True))
