"""Open a bundle and run it on images or point clouds. Needs numpy, OpenCV and the backend's own library; no torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Engine, Lock, Tensors, as_fault_of, lock_of, reading, recover_folder, require_files
from compiler.artifact.machine import elsewhere
from compiler.backends import Backend, Session, backend_of, measurements_folder, run_in_batches
from compiler.config import CompileConfig
from compiler.config.checks import check_area
from compiler.config.instantiate import instantiate
from compiler.config.known_classes import BACKENDS, TASKS, check_classes
from compiler.config.limits import DEFAULT_LIMITS, Limits, check_inputs
from compiler.config.moved import present_config, with_present_keys
from compiler.config.plain_yaml import load_yaml
from compiler.config.sizes import SizeRange
from compiler.config.yaml_files import check_yaml
from compiler.errors import Caution, CompileError, UsageError
from compiler.tasks import AnySample, AnyTask, build_task

CONFIG_FILE = "config.yaml"
NO_CONFIG = f"{CONFIG_FILE} is not the config of a bundle"
COMPILE_AGAIN = "compile the bundle again"

PredictorInput = str | PathLike[str] | NDArray[Any] | Mapping[str, NDArray[Any]]
"""A file, or what is in it: an image, BGR uint8 `[h, w, 3]`, or points, float32 `[n, d]`, or arrays by
the names of a network's inputs."""


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
    """

    task: AnyTask
    engine: Engine
    session: Session
    sizes: SizeRange
    largest_batch: int
    limits: Limits = DEFAULT_LIMITS

    def __call__(self, source: PredictorInput, box: Any = None) -> list[Any]:
        """Predict.

        Args:
            source: A file; or a BGR uint8 array [h, w, 3], or float32 points [n, d].
            box: Where the objects are: x1, y1, x2, y2 in pixels, several of those, a JSON file, or None for the whole
                image.

        Returns:
            The task's typed results, one for each box: for poses, `compiler.tasks.pose.Pose`.

        Raises:
            CompileError: The source or a box cannot be used, or the source is beyond the limits.
        """
        if isinstance(source, list | tuple):
            raise UsageError(
                f"a list of {len(source)} is no input",
                where="predictor(...)",
                why="a bundle looks at one file or array at a time",
                fix="call it for each: [predictor(one) for one in sources]",
            )
        sample = self.task.read(source, box, self.limits)
        with self._at_one():
            return [result for part in sample.parts(self.batch) for result in self._results(part)]

    @property
    def batch(self) -> int:
        """How many samples the engine is given at once: as many boxes are prepared, and no more are in memory."""
        fixed = self.engine.inputs[0].shape[:1]
        return fixed[0] if fixed and isinstance(fixed[0], int) else self.largest_batch

    def _results(self, sample: AnySample) -> list[Any]:
        prepared = self.task.preprocess(sample, self.sizes)
        return self.task.decode(self.run(prepared.tensors), prepared)

    def run(self, tensors: Tensors) -> Tensors:
        """The raw outputs for preprocessed inputs, the flip test included where the task asks for it."""
        return self.task.infer(batch_runner(self.task, self.session.run, self.engine, self.largest_batch), tensors)

    def draw(self, source: PredictorInput, results: list[Any]) -> NDArray[np.uint8]:
        """A picture of the source, BGR, with the results drawn on it."""
        sample = self.task.read(source, limits=self.limits)
        with self._at_one():
            return self.task.draw(sample, results)

    def _at_one(self) -> AbstractContextManager[None]:
        """Around what can only fail where the config, the sidecar and the engine of a bundle do not fit each other."""
        return reading(self.engine.folder, "the bundle contradicts itself", fix=COMPILE_AGAIN)


def batch_runner(
    task: AnyTask, run: Callable[[Tensors], Tensors], engine: Engine, largest_batch: int
) -> Callable[[Tensors], Tensors]:
    """A way to run any number of items; where the task's inputs do not count items, they run as they are."""
    return partial(run_in_batches, run, engine, largest=largest_batch) if task.batched else run


def open(
    path: str | PathLike[str],
    modules: Collection[str] = (),
    *,
    engine_code: bool = False,
    trust_changes: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    cache: str | PathLike[str] | None = None,
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

    Raises:
        CompileError: The folder is not a bundle, what is read of it was changed, it names a class that is not known,
            its engine brings code, or its backend cannot be used on this machine.
    """
    found = check_bundle(path, modules, engine_code=engine_code, trust_changes=trust_changes, limits=limits)
    config, engine, backend = found.config, found.engine, found.backend
    other = elsewhere(engine.machine, backend.machine())
    if other:
        warnings.warn(_unproven_here(other, found.folder), Caution, stacklevel=2)
    if cache is not None and not backend.keeps_opened:
        warnings.warn(_kept_nothing(found.folder, backend), Caution, stacklevel=2)
    session = backend.open_within(engine, limits, None if cache is None else measurements_folder(Path(cache)))
    return Predictor(found.task, engine, session, config.sizes, config.batch.largest, limits)


@dataclass(frozen=True)
class CheckedBundle:
    """A bundle of which all that opening it reads is what its lock says.

    Attributes:
        folder: Where it lies.
        lock: What its files are held to; None where changes are trusted.
        config: What it was compiled from.
        engine: What is run.
        backend: Opens that.
        task: Pre- and post-processing.
    """

    folder: Path
    lock: Lock | None
    config: CompileConfig
    engine: Engine
    backend: Backend
    task: AnyTask


def check_bundle(
    path: str | PathLike[str],
    modules: Collection[str] = (),
    *,
    engine_code: bool = False,
    trust_changes: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> CheckedBundle:
    """Look at all of a bundle that opening it reads, and open nothing; see `open`."""
    folder = Path(path)
    recover_folder(folder)
    lock = lock_of(folder, trust_changes)
    require_files(folder, (CONFIG_FILE, Engine.SIDECAR), lock)
    config, engine = read_config(folder, modules, limits), Engine.load(folder)
    check_inputs(engine.inputs, str(folder / Engine.SIDECAR), limits)
    backend, task = backend_of(engine, modules), task_of(config, folder)
    if backend.engine_holds_code and not engine_code:
        raise _engine_with_code(backend.name, engine)
    require_files(folder, backend.files(engine), lock)
    return CheckedBundle(folder, lock, config, engine, backend, task)


def _unproven_here(other: str, bundle: Path) -> str:
    return (
        f"the bundle was proven on another machine ({other}): results may differ; "
        f"python -m compiler verify {bundle} proves it on this one"
    )


def _kept_nothing(bundle: Path, backend: Backend) -> str:
    return (
        f"cache= changes nothing for {bundle}: {backend.TITLE or backend.name} keeps nothing of an engine that it opens"
    )


def _engine_with_code(backend: str, engine: Engine) -> CompileError:
    return CompileError(
        "the engine brings code of its own for this machine's processor, and is not opened",
        where=str(engine.path),
        why=f"whoever made it decides what that code does ({backend})",
        fix="if you trust whoever compiled it: predict --engine-code, or runtime.open(..., engine_code=True)",
    )


def read_config(folder: Path, modules: Collection[str] = (), limits: Limits = DEFAULT_LIMITS) -> CompileConfig:
    """Read what a bundle was compiled from; nothing that stands in for something else is looked up.

    Args:
        folder: The bundle.
        modules: See `open`.
        limits: See `open`.

    Raises:
        CompileError: It has no such file, that is not the config of a bundle, it names a class that is not known, or
            its engine is said to take more than the limits.
    """
    config_file = folder / CONFIG_FILE
    with as_fault_of(config_file, NO_CONFIG, fix=COMPILE_AGAIN):
        config = replace(_config_in(config_file), limits=limits)  # those in it are a stranger's
        _check_area(config, config_file)
    # Only its backend and its task are ever built: the classes of its network are not needed any more.
    check_classes(config.backend, (BACKENDS,), config_file, "backend", modules)
    check_classes(config.model.processing, (TASKS,), config_file, "model.processing", modules)
    return config


def task_of(config: CompileConfig, folder: Path) -> AnyTask:
    """The task of a bundle.

    Raises:
        CompileError: Its config describes none.
    """
    with as_fault_of(folder / CONFIG_FILE, NO_CONFIG, fix=COMPILE_AGAIN):
        return build_task(config.model.processing)


def _check_area(config: CompileConfig, config_file: Path) -> None:
    try:
        check_area(config)
    except UsageError as error:
        raise CompileError(error.what, where=str(config_file), why=error.why, fix=error.fix) from error


def _config_in(config_file: Path) -> CompileConfig:
    values = with_present_keys(load_yaml(check_yaml(config_file)))
    config = present_config(instantiate(values, CompileConfig))
    _ = config.sizes  # raises where they contradict each other, which here is the bundle's fault
    return config
