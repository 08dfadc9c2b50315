"""The steps of a prediction, named where they are taken, and timed by whoever asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final

SpanPath = tuple[str, ...]
"""A step, behind those that it is a part of."""


class Span(ContextDecorator):
    """A named step: what is done in its `with` block, or in the function that it decorates.

    Nothing is done where nobody records, and no step is told who does: the functions of a user's own task keep their
    arguments, and what other threads predict meanwhile is not in the record.
    """

    def __init__(self, name: str) -> None:
        self._name: Final = name

    def __enter__(self) -> None:
        if (record := _record.get()) is not None:
            record.begin(self._name)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if (record := _record.get()) is not None:
            record.end()


class SpanRecord:
    """How long the steps took that the `with` block of this record did, in this thread.

    Args:
        clock: Seconds since any moment.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seconds: dict[SpanPath, list[float]] = {}
        self._open: list[tuple[str, float]] = []
        self._before: list[Token[SpanRecord | None]] = []

    @property
    def seconds(self) -> Mapping[SpanPath, list[float]]:
        """What each call of a step took, in the order in which steps were first taken: a whole before its parts."""
        return self._seconds

    def begin(self, name: str) -> None:
        """Begin a step, within the one that is going on."""
        self._seconds.setdefault((*(each for each, _ in self._open), name), [])
        self._open.append((name, self._clock()))

    def end(self) -> None:
        """End the step that is going on."""
        now = self._clock()
        path = tuple(name for name, _ in self._open)
        _, start = self._open.pop()
        self._seconds[path].append(now - start)

    def __enter__(self) -> SpanRecord:
        self._before.append(_record.set(self))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _record.reset(self._before.pop())


_record: ContextVar[SpanRecord | None] = ContextVar("_record", default=None)
"""What the steps of this thread are written into; nothing unless somebody records."""
