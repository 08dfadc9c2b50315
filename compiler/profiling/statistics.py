"""What many times of one thing come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Statistics:
    """Times of one thing, in seconds. Percentiles lie between two samples where they fall between them.

    Attributes:
        count: How many there are.
        mean: Their mean.
        median: The middle one.
        minimum: The shortest.
        maximum: The longest.
        p90: What nine of ten do not exceed.
        p99: What ninety-nine of a hundred do not exceed.
    """

    count: int
    mean: float
    median: float
    minimum: float
    maximum: float
    p90: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Statistics:
        """The statistics of at least one sample."""
        median, p90, p99 = (float(one) for one in np.percentile(seconds, (50, 90, 99)))
        return cls(len(seconds), float(np.mean(seconds)), median, min(seconds), max(seconds), p90, p99)

    @property
    def rows(self) -> tuple[tuple[str, float], ...]:
        """What a table has, by the names that it has in MMDeploy's, and the percentiles."""
        return (
            ("Mean", self.mean),
            ("Median", self.median),
            ("Min", self.minimum),
            ("Max", self.maximum),
            ("p90", self.p90),
            ("p99", self.p99),
        )


@dataclass(frozen=True)
class Spread:
    """The middle of several ratios, and the quartiles that half of them lie between."""

    lower: float
    median: float
    upper: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Spread:
        """The spread of at least one ratio."""
        return cls(*(float(one) for one in np.percentile(ratios, (25, 50, 75))))
