"""How far apart two arrays are, and what that is measured in. Infinities are what they are; NaN is equal to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOISE = 2.0**-20
"""Of the largest number: numbers in fp32 that vary by no more than this do not vary, they are rounded."""
ABOVE_ONE = 1e-5
"""By how much rounding may bring a probability above 1."""


@dataclass(frozen=True)
class Yardstick:
    """What the largest error of an array is measured in.

    Attributes:
        name: As reports have it: `σ`, the standard deviation; `peak`, of probabilities: the largest of them; `size`, of
            numbers that do not vary: how large they are; `1`, of whole numbers, of which none may be another.
        length: In the numbers' own unit.
    """

    name: str
    length: float


@dataclass(frozen=True)
class Spread:
    """How far the finite numbers of an array lie apart.

    Attributes:
        deviation: Their standard deviation.
        smallest: Of them.
        largest: In magnitude.
    """

    deviation: float
    smallest: float
    largest: float

    @classmethod
    def of(cls, values: NDArray[Any]) -> Spread:
        """That of an array; zeros where nothing in it is finite."""
        numbers = values.astype(np.float64).ravel()
        finite = numbers[np.isfinite(numbers)]
        if not finite.size:
            return cls(0.0, 0.0, 0.0)
        return cls(float(finite.std()), float(finite.min()), float(np.abs(finite).max()))

    @property
    def varies(self) -> bool:
        """Whether they differ by more than rounding."""
        return self.deviation > NOISE * self.largest

    @property
    def length(self) -> float:
        """The standard deviation; of numbers that do not vary, how large they are."""
        return self.deviation if self.varies else self.largest or 1.0


def yardstick_of(reference: NDArray[Any]) -> Yardstick:
    """What suits the numbers of a reference."""
    return _yardstick(reference, Spread.of(reference))


def _yardstick(reference: NDArray[Any], spread: Spread) -> Yardstick:
    """What suits numbers that are spread like this.

    Of thousands of probabilities nearly all are near zero, and the deviation is a small part of those that count: what
    is read off them is the peak. How all of them differ is still held against the deviation, see `Difference.typical`.
    """
    if reference.dtype.kind not in {"f", "V"}:  # bfloat16 is of a kind of its own
        return Yardstick("1", 1.0)
    if not spread.varies:
        return Yardstick("size", spread.length)
    if spread.smallest >= 0 and spread.largest <= 1 + ABOVE_ONE:
        return Yardstick("peak", spread.largest)
    return Yardstick("σ", spread.deviation)


@dataclass(frozen=True)
class Difference:
    """How far an array is from a reference of the same shape.

    Attributes:
        largest: The largest absolute error: NaN where one of them holds NaN, infinite where only one holds an infinity.
        mean: The mean absolute error.
        relative: The largest, in lengths of the yardstick.
        typical: The root of the mean squared error, in standard deviations of the reference.
        cosine: The cosine similarity of what is finite.
        yardstick: What suits the reference.
        size: The largest finite number of the reference, in magnitude.
        oddity: What is not finite, in words; empty where all is.
    """

    largest: float
    mean: float
    relative: float
    typical: float
    cosine: float
    yardstick: Yardstick
    size: float
    oddity: str


def difference(reference: NDArray[Any], found: NDArray[Any], yardstick: Yardstick | None = None) -> Difference:
    """Compare two arrays of one shape, in a yardstick that is given, or in that which suits the reference."""
    expected, actual = reference.astype(np.float64).ravel(), found.astype(np.float64).ravel()
    errors = absolute_errors(expected, actual)
    spread = Spread.of(reference)
    yardstick = yardstick or _yardstick(reference, spread)
    largest = float(errors.max(initial=0.0))
    with np.errstate(invalid="ignore", over="ignore"):
        typical = float(np.sqrt(np.mean(np.square(errors)))) if errors.size else 0.0
    return Difference(
        largest=largest,
        mean=float(errors.mean()) if errors.size else 0.0,
        relative=largest / yardstick.length,
        typical=typical / spread.length,
        cosine=cosine(expected, actual),
        yardstick=yardstick,
        size=spread.largest,
        oddity=_oddity(expected, actual),
    )


def absolute_errors(expected: NDArray[np.float64], actual: NDArray[np.float64]) -> NDArray[np.float64]:
    """The absolute error of each number; equal infinities are equal, and NaN is equal to nothing."""
    with np.errstate(invalid="ignore"):
        return np.where(actual == expected, 0.0, np.abs(actual - expected))


def cosine(expected: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    """The cosine similarity of the numbers that are finite in both; of zeros and zeros it is 1."""
    if np.isnan(expected).any() or np.isnan(actual).any():
        return float("nan")
    both = np.isfinite(expected) & np.isfinite(actual)
    first, second = expected[both], actual[both]
    # Squares of large numbers would overflow.
    first, second = (side / (np.abs(side).max(initial=0.0) or 1.0) for side in (first, second))
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / norms if norms else float(np.array_equal(first, second))


def _oddity(expected: NDArray[np.float64], actual: NDArray[np.float64]) -> str:
    """What is not finite: how many NaN, and how many infinities, on either side."""
    parts = []
    for name, test in (("NaN", np.isnan), ("infinite", np.isinf)):
        counts = int(test(expected).sum()), int(test(actual).sum())
        if any(counts):
            parts.append(f"{name} in {counts[0]} numbers of the reference and in {counts[1]} here")
    return ", ".join(parts)
