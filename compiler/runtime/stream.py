"""Several items in flight: their results come in the order of the items, and no more are taken than are worked at."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, TypeVar

import numpy as np

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

IN_FLIGHT = 2
"""Items for each stream that are taken and whose results nobody has: one that is worked at, and one that waits."""


def own_copy(source: Any) -> Any:
    """A source that nobody changes while it is looked at: a camera may write its next image over the last."""
    if isinstance(source, Mapping):
        return {name: array.copy() for name, array in source.items()}
    return source.copy() if isinstance(source, np.ndarray) else source


class Stream(Iterator[ResultT], Generic[ItemT, ResultT]):
    """The results of items, in their order. An error comes in the place of the result; behind it the rest can be had.

    Items are taken in the thread that asks for results. With one stream all is done in that thread, an item at a time.

    Args:
        function: From an item to its result; called in several threads at once where there are several streams.
        items: As many as there are, or without an end.
        streams: How many items are worked at at once.
    """

    def __init__(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT], streams: int = 1) -> None:
        self._function = function
        self._items = iter(items)
        self._pending: deque[Future[ResultT]] = deque()
        self._at_once = 1 if streams == 1 else streams * IN_FLIGHT
        self._threads = None if streams == 1 else ThreadPoolExecutor(streams, "stream")
        self._is_at_end = False
        # Whoever drops the stream drops what waits: a program that is interrupted ends with what is worked at.
        self._end = weakref.finalize(self, _end, self._threads)

    def __next__(self) -> ResultT:
        while not self._is_at_end and len(self._pending) < self._at_once:
            self._take()
        if not self._pending:
            self.close()
            raise StopIteration
        return self._pending.popleft().result()

    def close(self) -> None:
        """Take no further items, and drop those that are not worked at yet."""
        self._is_at_end = True
        self._pending.clear()
        self._end()

    def __enter__(self) -> Stream[ItemT, ResultT]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _take(self) -> None:
        """Take an item, or what goes wrong where it is made: that ends the items, behind the results of the others."""
        try:
            item = next(self._items)
        except StopIteration:
            self._is_at_end = True
        except Exception as error:
            self._is_at_end = True
            self._pending.append(_failed(error))
        else:
            self._pending.append(self._begin(item))

    def _begin(self, item: ItemT) -> Future[ResultT]:
        if self._threads is not None:
            return self._threads.submit(self._function, item)
        done: Future[ResultT] = Future()
        try:
            done.set_result(self._function(item))
        except Exception as error:
            return _failed(error)
        return done


def _failed(error: Exception) -> Future[ResultT]:
    future: Future[ResultT] = Future()
    future.set_exception(error)
    return future


def _end(threads: ThreadPoolExecutor | None) -> None:
    if threads is not None:
        threads.shutdown(wait=False, cancel_futures=True)
