"""What a terminal is shown of texts that somebody else wrote."""

import io
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from compiler.errors import CompileError
from compiler.events import StageFinished, Warned
from compiler.report.console import Screen, print_error, progress
from compiler.report.ledger import print_ledger
from compiler.report.report import Reduced
from compiler.report.speed import Speed, Tried
from compiler.report.text import shown, speed_lines
from rewriters import Entry

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


def ledger_report(name, entry, reduced, speed=None, tried=()):
    return SimpleNamespace(model=name, name=name, ledger=[entry], reduced=reduced, speed=speed, tried=tried)


@pytest.mark.parametrize("tried", [(), (Tried(HOSTILE, HOSTILE, Speed(HOSTILE, 1.0, 1.0, HOSTILE)),)])
def test_speeds_that_somebody_else_wrote_are_shown_as_text(tried):
    lines = [screen_of(lambda screen: screen.print(*speed_lines(Speed(HOSTILE, 1.0, 1.0, HOSTILE), tried)))]
    assert not any(line.startswith("proven") or "\x1b" in line for text in lines for line in text.splitlines())
    assert "[bold]x[/]" in lines[0]


def test_a_ledger_that_somebody_else_wrote_is_shown_as_text():
    entry = Entry(HOSTILE, "graph", "fired", HOSTILE, (HOSTILE,), "", HOSTILE, HOSTILE)
    reduced = Reduced(HOSTILE, HOSTILE, "[/red]", ({"operator": HOSTILE, "node": HOSTILE, "why": HOSTILE},))
    report = ledger_report(HOSTILE, entry, reduced)
    lines = screen_of(lambda screen: print_ledger(screen, report)).splitlines()
    assert not any(line.startswith("proven") or "\x1b" in line for line in lines)
    assert sum("[bold]x[/]" in line for line in lines) == 6
    assert "of [/red] nodes" in lines[-2]


def test_a_ledger_of_ours_is_shown_with_its_numbers():
    entry = Entry("gelu", "fusion", "fired", 3, ("a", "b"), "", "exact", "one node")
    report = ledger_report("m", entry, Reduced("fp16", 4, 5, ()))
    said = screen_of(lambda screen: print_ledger(screen, report))
    assert "fired 3x" in said
    assert "4 of 5 nodes" in said
