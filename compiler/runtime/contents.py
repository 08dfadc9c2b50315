"""What is in a bundle: read and looked at, and nothing of it run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from compiler.artifact import Engine, Lock, as_fault_of, lock_of, recover_folder, require_files
from compiler.backends import Backend, backend_of
from compiler.config import CompileConfig
from compiler.config.checks import check_area
from compiler.config.instantiate import instantiate
from compiler.config.known_classes import BACKENDS, TASKS, check_classes
from compiler.config.limits import DEFAULT_LIMITS, Limits, check_inputs
from compiler.config.moved import present_config, with_present_keys
from compiler.config.plain_yaml import load_checked_yaml
from compiler.config.yaml_files import check_yaml
from compiler.errors import CompileError, UsageError
from compiler.tasks import AnyTask, build_task

CONFIG_FILE = "config.yaml"
NO_CONFIG = f"{CONFIG_FILE} is not the config of a bundle"
COMPILE_AGAIN = "compile the bundle again"


@dataclass(frozen=True)
class BundleContents:
    """What is read of a bundle before its engine is opened.

    Attributes:
        folder: Where it lies.
        lock: What its files are held to; None where changes are trusted.
        config: What it was compiled from.
        task: Pre- and post-processing.
        engine: What is run.
        backend: What runs it.
    """

    folder: Path
    lock: Lock | None
    config: CompileConfig
    task: AnyTask
    engine: Engine
    backend: Backend


def read_bundle(
    path: str | PathLike[str],
    modules: Collection[str] = (),
    *,
    engine_code: bool = False,
    trust_changes: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> BundleContents:
    """What is in a bundle, looked at and held to its lock, the engine's files too; none of them is opened.

    Args:
        path: See `open`.
        modules: See `open`.
        engine_code: See `open`.
        trust_changes: See `open`.
        limits: See `open`.

    Raises:
        CompileError: See `open`.
    """
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
    return BundleContents(folder, lock, config, task, engine, backend)


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
    values = with_present_keys(load_checked_yaml(check_yaml(config_file)))
    config = present_config(instantiate(values, CompileConfig))
    _ = config.sizes  # raises where they contradict each other, which here is the bundle's fault
    return config
