"""One bundle, open in this process to be measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compiler import runtime
from compiler.artifact import Tensors
from compiler.backends import Backend, LayerTime, backend_of
from compiler.config.sizes import InputSize
from compiler.errors import CompileError
from compiler.profiling.memory import peak_memory
from compiler.profiling.request import Request, files_in, inputs_of
from compiler.proof import proof_of
from compiler.runtime import Predictor
from compiler.spans import Span, SpanPath, SpanRecord
from compiler.tasks import AnySample, AnyTask

WHOLE = "pipeline"
"""The step that all others are parts of."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class Opened:
    """What is known of a bundle once it is open.

    Attributes:
        model: The model's name.
        backend: What runs it.
        library: That backend's version.
        inputs: That it is measured at.
        load: Seconds that opening it took.
        memory_before: Bytes that were in memory at most before that; None where the system does not say.
    """

    model: str
    backend: str
    library: str
    inputs: tuple[InputSize, ...]
    load: float
    memory_before: int | None


class Subject:
    """A bundle that is measured.

    Args:
        request: What is measured of it.
        clock: Seconds since any moment.

    Attributes:
        opened: What is known of it.

    Raises:
        CompileError: It cannot be opened, there is nothing to look at, or its engine takes none of what is asked for.
    """

    def __init__(self, request: Request, clock: Clock = time.perf_counter) -> None:
        self._clock, before = clock, peak_memory()
        start = clock()
        self._predictor = _open(request)
        load = clock() - start
        self._backend: Backend = backend_of(self._predictor.engine, request.modules)
        self._task: AnyTask = self._predictor.task
        config = runtime.read_config(Path(request.bundle), request.modules, request.limits)
        self._files = files_in(request.sources, self._task.looks_at)
        self._sample = self._read(self._files[0] if self._files else self._task.sample_source())
        inputs = inputs_of(request, config, self._task, self._predictor.engine)
        self._tensors: Tensors = {}
        library = self._backend.probe().version
        self.opened = Opened(config.model.name, self._backend.name, library, inputs, load, before)

    def first(self, index: int) -> float:
        """Seconds of a run at one of the inputs, which from then on is what is run: the first at it, the first time."""
        size = self.opened.inputs[index]
        self._tensors = proof_of(self._task).samples(self._sample, size.batch, size.size).tensors
        return self._run()

    def block(self, count: int, settling: float = 0.0) -> list[float]:
        """Seconds of so many runs, one after the other.

        Args:
            count: How many.
            settling: Seconds of runs before them that do not count: another process had the caches until now.
        """
        start = self._clock()
        while self._clock() - start < settling:
            self._run()
        return [self._run() for _ in range(count)]

    def steps(self, calls: int, warmup: int) -> list[tuple[SpanPath, list[float]]]:
        """What each step from a file to results takes, looking at the files in turn."""
        files = self._files or (self._task.sample_source(),)
        for number in range(warmup):
            self._predictor(files[number % len(files)])
        with SpanRecord(self._clock) as record:
            for number in range(calls):
                with Span(WHOLE):
                    self._predictor(files[number % len(files)])
        return list(record.seconds.items())

    def layers(self, index: int, iterations: int) -> list[LayerTime] | None:
        """What each layer of the engine takes at one of the inputs; None where the backend does not say it."""
        self.first(index)
        layers = self._backend.layers(self._predictor.engine, self._tensors, iterations)
        return None if layers is None else list(layers)

    def _run(self) -> float:
        start = self._clock()
        self._predictor.session.run(self._tensors)
        return self._clock() - start

    def _read(self, file: Path) -> AnySample:
        try:
            return self._task.read(file, None, self._predictor.limits)
        except CompileError as error:
            kind = self._task.looks_at
            if file.suffix.lower() in kind.suffixes:
                raise
            why = f"{error.why}; {self._task.name} looks at {kind.name}: {', '.join(kind.suffixes)}"
            raise CompileError(error.what, where=error.where, why=why, fix=error.fix) from error


def _open(request: Request) -> Predictor:
    return runtime.open(
        request.bundle,
        request.modules,
        engine_code=request.engine_code,
        trust_changes=request.trust_changes,
        limits=request.limits,
        threads=request.threads,
    )
