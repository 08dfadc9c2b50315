"""The config: its schema, the grammar of deploy names, and how it is composed. Imports no torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compiler.config.composition import compose
    from compiler.config.schema import CompileConfig
    from compiler.config.search import config_folder

__all__ = ["CompileConfig", "compose", "config_folder"]

_PLACES = {
    "CompileConfig": "compiler.config.schema",
    "compose": "compiler.config.composition",
    "config_folder": "compiler.config.search",
}
"""Where each is defined. It is imported when it is asked for: most of a command line composes nothing."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
