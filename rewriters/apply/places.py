"""What the places of a network are called: as its author has them, whatever is put around it."""

from __future__ import annotations

AROUND = "the tail"
"""What is put around a network: what follows its raw outputs within the engine."""


def shown(place: str, inner: str) -> str:
    """A place as the author of the network names it.

    Args:
        place: Path of a module in the whole.
        inner: Path of the author's own network in it; empty where that is the whole.
    """
    if not inner:
        return place
    if f"{place}.".startswith(f"{inner}."):
        return place[len(inner) + 1 :]
    return f"{AROUND}, {place}" if place else AROUND
