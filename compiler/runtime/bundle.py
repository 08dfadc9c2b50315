"""Open a bundle and run it on images or point clouds. Needs numpy, OpenCV and the backend's own library; no torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat, zip_longest
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Engine, Program, Tensors, reading
from compiler.artifact.machine import elsewhere
from compiler.backends import Backend, Session, measurements_folder, run_in_batches, with_threads
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.config.sizes import SizeRange
from compiler.errors import Caution, UsageError
from compiler.runtime.batches import run_samples
from compiler.runtime.contents import COMPILE_AGAIN, read_bundle
from compiler.runtime.stream import Stream, own_copy
from compiler.spans import Span
from compiler.tasks import AnySample, AnyTask, Prepared

PredictorInput = str | PathLike[str] | NDArray[Any] | Mapping[str, NDArray[Any]]
"""A file, or what is in it: an image, BGR uint8 `[h, w, 3]`, or points, float32 `[n, d]`, or arrays by
the names of a network's inputs."""


MOST_STREAMS = 256
_NOTHING: Any = object()


@dataclass(frozen=True)
class Predictor:
    """A bundle, open: call it with an image, or with the points of a cloud.

    Attributes:
        task: Pre- and post-processing.
        engine: What is being run.
        session: The open engine.
        sizes: The sizes that the engine takes.
        largest_batch: How many samples an engine with a dynamic batch is given at once.
        limits: What an input may cost.
        streams: How many inputs `stream` looks at at once.
    """

    task: AnyTask
    engine: Engine
    session: Session
    sizes: SizeRange
    largest_batch: int
    limits: Limits = DEFAULT_LIMITS
    streams: int = 1

    def __call__(self, source: PredictorInput | Sequence[PredictorInput], box: Any = None) -> list[Any]:
        """Predict.

        Args:
            source: A file; or a BGR uint8 array [h, w, 3], or float32 points [n, d]. Of a list or a tuple, those whose
                inputs have the same shape go through the engine together, as many as its batch holds.
            box: Where the objects are: x1, y1, x2, y2 in pixels, several of those, a JSON file, or None for the whole
                image. For a list of sources, a list with as much for each, or None.

        Returns:
            The task's typed results, one for each box: for poses, `compiler.tasks.pose.Pose`. For a list of sources, a
            list of such lists.

        Raises:
            CompileError: A source or a box cannot be used, or a source is beyond the limits.
        """
        if not isinstance(source, list | tuple):
            return self._results([self._read(source, box)])[0]
        boxes = [None] * len(source) if box is None else box
        if not isinstance(boxes, list | tuple) or len(boxes) != len(source):
            raise UsageError(
                f"there are {len(source)} sources, and the boxes are not as many",
                where="predictor(sources, box)",
                fix="give a list that has for each source what is given for one alone, None for a whole image",
            )
        return self._results(self._read(*one) for one in zip(source, boxes, strict=True))

    def stream(
        self, sources: Iterable[PredictorInput], boxes: Iterable[Any] | None = None
    ) -> Stream[tuple[PredictorInput, Any], list[Any]]:
        """The results of sources, one after the other, of which `streams` are looked at at once.

        Args:
            sources: Files or arrays, as many as there are or without an end; taken as results are asked for, and no
                more than twice the streams before that.
            boxes: For each source what is given for one alone; None for whole images.

        Returns:
            For each source what calling with it alone gives, in their order. What is wrong with one is raised in its
            place, by `next`, and the next call gives what comes behind it.

        Raises:
            UsageError: It is one source.
        """
        if isinstance(sources, str | PathLike | Mapping):
            raise UsageError("one source is no stream", where=f"stream({sources!r:.60})", fix="give a list of sources")
        return Stream(self._alone, _with_boxes(sources, boxes), self.streams)

    def _alone(self, given: tuple[PredictorInput, Any]) -> list[Any]:
        return self._results([self._read(*given)])[0]

    @property
    def batch(self) -> int:
        """How many samples the engine is given at once: as many boxes are prepared, and no more are in memory."""
        fixed = self.engine.inputs[0].shape[:1]
        return fixed[0] if fixed and isinstance(fixed[0], int) else self.largest_batch

    def _results(self, samples: Iterable[AnySample]) -> list[list[Any]]:
        with self._at_one():
            return run_samples(self.task, self.run, samples, self.sizes, self.batch)

    @Span("load")
    def _read(self, source: Any, box: Any) -> AnySample:
        return self.task.read(source, box, self.limits)

    def prepare(self, part: AnySample) -> Prepared:
        """The network's inputs for a sample that has no more boxes than `batch`.

        Raises:
            CompileError: The bundle's files do not fit each other.
        """
        with self._at_one():
            prepared: Prepared = self.task.preprocess(part, self.sizes)
        return prepared

    def results(self, prepared: Prepared) -> list[Any]:
        """The results for inputs that `prepare` gave.

        Raises:
            CompileError: The bundle's files do not fit each other.
        """
        with self._at_one():
            return self.task.decode(self.run(prepared.tensors), prepared)

    def run(self, tensors: Tensors) -> Tensors:
        """The raw outputs for preprocessed inputs, the flip test included where the task asks for it."""
        return self.task.infer(batch_runner(self.task, self._run_engine, self.engine, self.largest_batch), tensors)

    @Span("network")
    def _run_engine(self, tensors: Tensors) -> Tensors:
        return self.session.run(tensors)

    def draw(self, source: PredictorInput, results: list[Any]) -> NDArray[np.uint8]:
        """A picture of the source, BGR, with the results drawn on it."""
        sample = self.task.read(source, limits=self.limits)
        with self._at_one():
            return self.task.draw(sample, results)

    def _at_one(self) -> AbstractContextManager[None]:
        """Around what can only fail where the config, the sidecar and the engine of a bundle do not fit each other."""
        return reading(self.engine.folder, "the bundle contradicts itself", fix=COMPILE_AGAIN)


def batch_runner(
    task: AnyTask, run: Callable[[Tensors], Tensors], takes: Engine | Program, largest_batch: int
) -> Callable[[Tensors], Tensors]:
    """A way to run any number of items; where the task's inputs do not count items, they run as they are."""
    return partial(run_in_batches, run, takes, largest=largest_batch) if task.batched else run


def open(
    path: str | PathLike[str],
    modules: Collection[str] = (),
    *,
    engine_code: bool = False,
    trust_changes: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    cache: str | PathLike[str] | None = None,
    threads: int | None = None,
    streams: int = 1,
) -> Predictor:
    """Open a bundle. It is data: no module is imported that it names, but for ours and those of the user.

    Args:
        path: The folder that a compile left behind, wherever it lies now.
        modules: Of the user's own backend or task, such as `mine.classification`: the bundle may name their classes.
        engine_code: Whether an engine may be opened that brings code for this machine's processor.
        trust_changes: Whether its files may be others than `lock.json` says.
        limits: What an input may cost; those that the bundle was compiled under mean nothing here.
        cache: A folder of the user's own, such as `outputs/.cache`, where what a backend makes of an engine is kept to
            open it faster the next time; None to keep nothing.
        threads: That the engine may use, of all streams together; None for as many as it was compiled for.
        streams: How many inputs `Predictor.stream` looks at at once: on a processor as many as it has cores give the
            most results a second, each of which takes longer than alone.

    Raises:
        CompileError: The folder is not a bundle, what is read of it was changed, it names a class that is not known,
            its engine brings code, or its backend cannot be used on this machine, is not told how many threads, or
            computes one input at a time.
    """
    contents = read_bundle(path, modules, engine_code=engine_code, trust_changes=trust_changes, limits=limits)
    config, engine, backend = contents.config, contents.engine, contents.backend
    if threads is not None:
        backend = with_threads(backend, threads)
    if streams != 1:
        backend = _in_streams(backend, streams)
    if (threads, streams) != (None, 1):
        engine = replace(engine, backend=backend.node())
    other = elsewhere(engine.machine, backend.machine())
    if other:
        warnings.warn(_unproven_here(other, contents.folder), Caution, stacklevel=2)
    if cache is not None and not backend.keeps_opened:
        warnings.warn(_kept_nothing(contents.folder, backend), Caution, stacklevel=2)
    session = backend.open_within(engine, limits, None if cache is None else measurements_folder(Path(cache)))
    return Predictor(contents.task, engine, session, config.sizes, config.batch.largest, limits, streams)


def _in_streams(backend: Backend, streams: int) -> Backend:
    if not isinstance(streams, int) or not 1 <= streams <= MOST_STREAMS:
        fix = f"give a whole number from 1 to {MOST_STREAMS}"
        raise UsageError(f"{streams!r:.40} is no number of streams", where="streams", fix=fix)
    return backend.in_streams(streams)


def _with_boxes(sources: Iterable[PredictorInput], boxes: Iterable[Any] | None) -> Iterator[tuple[PredictorInput, Any]]:
    """Each source with its boxes.

    Raises:
        UsageError: There are not as many of both.
    """
    pairs = zip(sources, repeat(None)) if boxes is None else zip_longest(sources, boxes, fillvalue=_NOTHING)
    for source, box in pairs:
        if source is _NOTHING or box is _NOTHING:
            fix = "give for each source what is given for one alone, None for a whole image"
            raise UsageError("there are not as many boxes as sources", where="stream(sources, boxes)", fix=fix)
        yield own_copy(source), box


def _unproven_here(other: str, bundle: Path) -> str:
    return (
        f"the bundle was proven on another machine ({other}): results may differ; "
        f"python -m compiler verify {bundle} proves it on this one"
    )


def _kept_nothing(bundle: Path, backend: Backend) -> str:
    return (
        f"cache= changes nothing for {bundle}: {backend.TITLE or backend.name} keeps nothing of an engine that it opens"
    )
