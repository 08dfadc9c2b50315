"""A compile as a function; `compiler` hands it on."""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.config import CompileConfig
from compiler.config.override_values import overrides_of
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
    from compiler import pipeline

    folder = None if config_dir is None else Path(config_dir)
    return pipeline.compile_bundle(_composed([*overrides, *overrides_of(settings)], folder), listen)


def _composed(overrides: list[str], config_dir: Path | None) -> CompileConfig:
    from compiler.openmmlab.translated_model import composed

    return composed(overrides, config_dir)
