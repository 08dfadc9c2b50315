"""What `python -m compiler` does, as functions; `compiler` hands them on."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.config import CompileConfig
from compiler.errors import Caution, UsageError
from compiler.events import Event, Listener, Warned

if TYPE_CHECKING:
    from compiler.report.outcome import Outcome

_PLAIN = re.compile(r"[A-Za-z./](?:[\w./+ -]*[\w./+-])?", re.ASCII)
"""A text that means itself in an override, `_WORDS` aside."""
_WORDS = ("null", "true", "false", "nan", "inf")


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


def overrides_of(settings: Mapping[str, Any], parent: str = "") -> Iterator[str]:
    """Yield the override of each setting, in Hydra's grammar; a mapping is a group of them.

    Raises:
        UsageError: A value is none that a config can hold.
    """
    for name, value in settings.items():
        key = f"{parent}.{name}" if parent else name
        if isinstance(value, Mapping):
            yield from overrides_of(value, key)
        else:
            yield f"{key}={_in_grammar(value, key)}"


def _in_grammar(value: Any, key: str) -> str:
    """A value as an override has it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case str() | PathLike():
            return _quoted(str(value))
        case list() | tuple():
            return f"[{','.join(_in_grammar(one, key) for one in value)}]"
    raise UsageError(
        f"{value!r:.100} is nothing that a config can hold",
        where=key,
        fix="give a text, a path, a number, a truth, None, or a list of such; a mapping for a group of settings",
    )


def _quoted(text: str) -> str:
    """A text that Hydra's grammar takes as it is."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    # Backslashes are the text's own, but for those in front of `${`, which refers to something, of a quote, or the end.
    referring = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return "'" + re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), referring) + "'"
