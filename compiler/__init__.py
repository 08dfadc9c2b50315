"""A compiler that turns trained PyTorch vision models into proven inference engines."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compiler.api import compile
    from compiler.evaluation.side_by_side import evaluate
    from compiler.networks.catalogue import build_network
    from compiler.profiling import profile
    from compiler.runtime import open as open_bundle

__all__ = ["build_network", "compile", "evaluate", "open_bundle", "profile"]

_PLACES = {
    "build_network": "compiler.networks.catalogue:build_network",
    "compile": "compiler.api:compile",
    "evaluate": "compiler.evaluation:evaluate",
    "open_bundle": "compiler.runtime:open",
    "profile": "compiler.profiling:profile",
}
"""Where each is defined. It is imported when it is asked for: a bundle opens without torch, and a network needs it."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
