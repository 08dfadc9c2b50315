"""How a verb prints what it came to: JSON for scripts, or one fact a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from compiler.cli.json_text import json_text
from compiler.printable import on_one_line

LONGEST_LINE = 2000
"""Characters of a fact."""


class Result(Protocol):
    """What a verb came to."""

    @property
    def exit_code(self) -> int:
        """The exit status that says it."""

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""


R = TypeVar("R", bound=Result)


def print_result(found: R, lines: Callable[[R], Iterator[str]], *, as_json: bool) -> int:
    """Print a result to standard output, and return its exit status."""
    from compiler.artifact import finite

    if as_json:
        print(json_text(finite(found.to_dict())))
    else:
        for line in lines(found):
            print(on_one_line(line, longest=LONGEST_LINE))
    return found.exit_code
