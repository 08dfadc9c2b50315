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
        tied: Whether they are those of all candidates, because the best score the same and rounding ranks them.
        opened: Whether the numbers are those of candidates that the selection drops, because it finds nothing.
        chosen_of: How many numbers these were chosen of, which were not decoded; 0 where all are compared.
    """

    numbers: int
    results: int
    things: str
    opened: bool = False
    tied: bool = False
    chosen_of: int = 0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Basis:
        """Read what `dataclasses.asdict` and JSON made of it."""
        counts = int(values["numbers"]), int(values["results"])
        kind = {name: bool(values.get(name, False)) for name in ("opened", "tied")}
        return cls(*counts, str(values["things"]), **kind, chosen_of=int(values.get("chosen_of", 0)))

    def __str__(self) -> str:
        if self.chosen_of:
            return f"{self.numbers} of {self.chosen_of} numbers, not decoded"
        found = f"{self.results or 'no'} {self.things}"
        if self.tied:
            return f"{found} that rounding ranks, {self.numbers} numbers of candidates"
        return f"{found}, {self.numbers} numbers{' of candidates' if self.opened else ''}"
