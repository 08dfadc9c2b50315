"""A compile as a function; `compiler` hands it on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.config import CompileConfig
from compiler.config.deploy_name import AUTO
from compiler.config.override_values import overrides_of
from compiler.config.variant import in_precision
from compiler.errors import Caution
from compiler.events import Event, Listener, Warned

if TYPE_CHECKING:
    from compiler.report.outcome import Outcome


def warn_of(event: Event) -> None:
    """Warn of what a user must know, as Python does; the other events are not told."""
    if isinstance(event, Warned):
        warnings.warn(event.message, Caution, stacklevel=2)


def compile(
    *overrides: str, config_dir: str | PathLike[str] | None = None, listen: Listener = warn_of, **settings: Any
) -> Outcome:
    """Compile one config into a bundle, or find that its bundle is up to date.

    Args:
        overrides: As on the command line: `model=rtmpose`, `batch.largest=8`.
        config_dir: A config folder of the user's own, searched after ours.
        listen: Told what happens while it happens.
        settings: The same as keywords: `model="rtmpose"`, `batch={"largest": 8}`, `box=(80, 20, 310, 460)`. Values are
            taken as they are; nothing in a text is special.

    Returns:
        What came out: the folder is its `bundle`, and its `problem` is empty where the engine is proven.

    Raises:
        UsageError: The config is wrong; nothing was started.
        CompileError: Nothing usable could be made; an older bundle is untouched.
    """
    given = [*overrides, *overrides_of(settings)]
    compose = partial(_composed, config_dir=None if config_dir is None else Path(config_dir))
    return compile_composed(compose(given), given, compose, listen)


def compile_composed(
    config: CompileConfig, overrides: Sequence[str], compose: Callable[[Sequence[str]], CompileConfig], listen: Listener
) -> Outcome:
    """Compile a config, in the fastest precision where it leaves that open; see `compile`.

    Args:
        config: Composed and checked.
        overrides: That it was composed of.
        compose: Composes others.
        listen: Told what happens while it happens.
    """
    from compiler import pipeline

    if config.precision != AUTO:
        return pipeline.compile_bundle(config, listen)
    return pipeline.compile_fastest(config, lambda one: compose(in_precision(overrides, one)), listen)


def _composed(overrides: Sequence[str], config_dir: Path | None) -> CompileConfig:
    from compiler.openmmlab.translated_model import composed

    return composed(overrides, config_dir)
