"""On how much a verdict stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Basis:
    """What was compared for one input.

    Attributes:
        numbers: How many raw numbers that say something; none, and nothing is proven.
        results: How many results the reference has.
        things: What they are, in the plural.
        opened: Whether the numbers are those of candidates that the selection drops, because it finds nothing.
    """

    numbers: int
    results: int
    things: str
    opened: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Basis:
        """Read what `dataclasses.asdict` and JSON made of it."""
        counts = int(values["numbers"]), int(values["results"])
        return cls(*counts, str(values["things"]), opened=bool(values["opened"]))

    def __str__(self) -> str:
        found = f"{self.results or 'no'} {self.things}"
        return f"{found}, {self.numbers} numbers{' of candidates' if self.opened else ''}"
