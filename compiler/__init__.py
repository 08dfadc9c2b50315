"""A compiler that turns trained PyTorch vision models into proven inference engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compiler.networks.catalogue import build_network

__all__ = ["build_network"]


def __getattr__(name: str) -> Any:
    # Networks need torch; a bundle opens without it.
    if name == "build_network":
        from compiler.networks.catalogue import build_network

        return build_network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
