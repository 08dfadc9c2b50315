"""A process that measures one bundle: alone in memory, and waiting for its turn without taking a core."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from compiler.config.instantiate import instantiate
from compiler.errors import Caution, as_compile_error
from compiler.profiling.memory import peak_memory
from compiler.profiling.request import Request
from compiler.profiling.subject import Subject

OPEN, STATE = "open", "state"
"""What can be asked of a worker, beside the methods of a `Subject`."""


@dataclass(frozen=True)
class State:
    """What a process has come to.

    Attributes:
        memory: Bytes that it had in memory at most; None where the system does not say.
        cautions: What was cautioned of.
    """

    memory: int | None
    cautions: tuple[str, ...]


def main() -> None:
    """Answer what comes in on standard input, a line of JSON each, until it ends."""
    answers = _answers()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", Caution)
        asked = Asked(lambda: tuple(dict.fromkeys(str(one.message) for one in caught)))
        for line in sys.stdin:
            print(json.dumps(asked.answer(json.loads(line)), default=asdict), file=answers, flush=True)


def _answers() -> TextIO:
    """Where standard output leads; what libraries write there by themselves goes to the error stream from now on."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


class Asked:
    """What a worker is asked, answered.

    Args:
        cautions: Gives what was cautioned of until now.
    """

    def __init__(self, cautions: Callable[[], tuple[str, ...]]) -> None:
        self._cautions = cautions
        self._subject: Subject | None = None

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The value of an action, or the error that it ends in."""
        try:
            return {"value": self._value(asked["action"], asked["arguments"])}
        except Exception as error:
            shown = as_compile_error(error)
            told = {name: str(getattr(shown, name)) for name in ("what", "where", "why", "fix")}
            return {"error": told, "status": shown.exit_code}

    def _value(self, action: str, arguments: Mapping[str, Any]) -> Any:
        if action == OPEN:
            self._subject = Subject(instantiate(arguments, Request, "request"))
            return self._subject.opened
        if action == STATE:
            return State(peak_memory(), self._cautions())
        return getattr(self._subject, action)(**arguments)
