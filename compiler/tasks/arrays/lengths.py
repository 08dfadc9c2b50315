"""How long an axis that varies may be, as a config writes it: `16-128`, or `16-64-128` with the usual between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Lengths:
    """The lengths of an axis.

    Attributes:
        smallest: At least 1, where it varies.
        usual: What an engine is best at.
        largest: The largest.
    """

    smallest: int
    usual: int
    largest: int

    @classmethod
    def parse(cls, text: str) -> Lengths:
        """Read one length, the smallest and the largest, or the usual one between them.

        Raises:
            ValueError: The text is not of that form.
        """
        parts = text.split("-")
        if not (1 <= len(parts) <= 3 and all(part.isascii() and part.isdigit() for part in parts)):
            raise ValueError(f"{text!r} is no length: write 64, or smallest-largest, or smallest-usual-largest")
        return cls.of([int(part) for part in parts])

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Lengths:
        """One length, two or three, from small to large; of two, the usual one is in the middle.

        Raises:
            ValueError: They are in another order, or one that varies begins at 0.
        """
        smallest, largest = lengths[0], lengths[-1]
        usual = lengths[1] if len(lengths) == 3 else (smallest + largest) // 2
        written = "-".join(map(str, lengths))
        if not smallest <= usual <= largest:
            raise ValueError(f"{written} does not run from small to large")
        if smallest == 0 < largest:
            raise ValueError(f"{written} begins at 0, and an axis that varies is at least 1 long")
        return cls(smallest, usual, largest)

    def __str__(self) -> str:
        return f"{self.smallest}-{self.usual}-{self.largest}" if self.varies else str(self.usual)

    @property
    def varies(self) -> bool:
        """Whether there is more than one."""
        return self.smallest < self.largest

    def holds(self, length: int) -> bool:
        """Whether an axis may be that long."""
        return self.smallest <= length <= self.largest
