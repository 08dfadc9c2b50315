"""The processes that measure, seen from the one that asks them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from tempfile import TemporaryFile
from typing import IO, Any

from compiler.artifact import ended, isolated_command
from compiler.backends import LayerTime
from compiler.config.instantiate import instantiate
from compiler.errors import CompileError, ExitCode, UsageError
from compiler.profiling.request import Request
from compiler.profiling.subject import Opened
from compiler.profiling.worker import OPEN, STATE, State
from compiler.spans import SpanPath

LAST_WORDS = 5
"""Lines of a process that crashed which an error repeats."""


@contextmanager
def worker_for(request: Request) -> Iterator[Worker]:
    """A process of its own that measures one bundle, for as long as the `with` block goes on."""
    with (
        TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
        subprocess.Popen(
            isolated_command("compiler.profiling.worker", sys.path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            encoding="utf-8",
        ) as process,
    ):
        try:
            yield Worker(request, process, said)
        finally:
            process.kill()  # it has nothing to lose, and may hang: Control-C gets here too
            with suppress(BrokenPipeError):  # what it was asked when it had ended
                _pipe(process.stdin).close()


class Worker:
    """A process that measures one bundle.

    Args:
        request: What is measured of it.
        process: That answers on its pipes.
        said: Where its error stream leads.
    """

    def __init__(self, request: Request, process: subprocess.Popen[str], said: IO[str]) -> None:
        self._request, self._process, self._said = request, process, said

    def open(self) -> Opened:
        """See `Subject`."""
        return instantiate(self._ask(OPEN, **asdict(self._request)), Opened)

    def first(self, index: int) -> float:
        """See `Subject.first`."""
        return float(self._ask("first", index=index))

    def block(self, count: int, settling: float = 0.0) -> tuple[float, ...]:
        """See `Subject.block`."""
        return tuple(self._ask("block", count=count, settling=settling))

    def steps(self, calls: int, warmup: int) -> dict[SpanPath, Sequence[float]]:
        """See `Subject.steps`."""
        return {tuple(path): taken for path, taken in self._ask("steps", calls=calls, warmup=warmup)}

    def layers(self, index: int, iterations: int) -> tuple[LayerTime, ...] | None:
        """See `Subject.layers`."""
        layers = self._ask("layers", index=index, iterations=iterations)
        return None if layers is None else tuple(LayerTime(**layer) for layer in layers)

    def state(self) -> State:
        """What it has come to."""
        return instantiate(self._ask(STATE), State)

    def _ask(self, action: str, **arguments: Any) -> Any:
        """The value of an action.

        Raises:
            CompileError: It ends in one, or the process ends.
        """
        with suppress(BrokenPipeError):  # then there is no answer, either
            print(json.dumps({"action": action, "arguments": arguments}), file=_pipe(self._process.stdin), flush=True)
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise self._ended()
        answer = json.loads(line)
        if "value" in answer:
            return answer["value"]
        kind = UsageError if answer["status"] == ExitCode.USAGE else CompileError
        raise kind(**answer["error"])

    def _ended(self) -> CompileError:
        status = self._process.wait()
        self._said.seek(0)
        words = [line for line in self._said.read().splitlines() if line.strip()]
        return CompileError(
            f"the process that measures it ended with {ended(status)}",
            where=self._request.bundle,
            why="\n".join(words[-LAST_WORDS:]),
        )


def _pipe(stream: IO[str] | None) -> IO[str]:
    """A stream of a process that was started with one."""
    assert stream is not None
    return stream
