"""How far apart two arrays are, and what that is measured in. Infinities are what they are; NaN is equal to nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOISE = 2.0**-20
"""Of the largest number: numbers in fp32 that vary by no more than this do not vary, they are rounded."""
ABOVE_ONE = 1e-5
"""By how much rounding may bring a probability above 1."""
BLOCK = 1 << 16
"""How many numbers are compared at a time."""
TINY = 1e-200
"""A sum of squares below which squares have lost digits."""


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
        count: How many they are.
        mean: Of them.
        squares: The sum of the squares of what they are from it.
        smallest: Of them.
        largest: In magnitude.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    smallest: float = 0.0
    largest: float = 0.0

    @classmethod
    def of(cls, values: NDArray[Any]) -> Spread:
        """That of an array; zeros where nothing in it is finite."""
        spread, numbers = cls(), values.ravel()
        for start in range(0, numbers.size, BLOCK):
            block = numbers[start : start + BLOCK].astype(np.float64)
            spread = spread.with_more(block[np.isfinite(block)])
        return spread

    def with_more(self, numbers: NDArray[np.float64]) -> Spread:
        """That of these numbers and of finite others. Source: T. Chan, G. Golub, R. LeVeque, "Updating Formulae and a
        Pairwise Algorithm for Computing Sample Variances", 1979."""
        if not numbers.size:
            return self
        mean, count = float(numbers.mean()), self.count + numbers.size
        apart, smallest, most = mean - self.mean, float(numbers.min()), float(numbers.max())
        centred = numbers - mean
        return Spread(
            count=count,
            mean=self.mean + apart * (numbers.size / count),
            squares=self.squares + float(centred @ centred) + apart * apart * (self.count * numbers.size / count),
            smallest=min(self.smallest, smallest) if self.count else smallest,
            largest=max(self.largest, abs(smallest), abs(most)),
        )

    @property
    def deviation(self) -> float:
        """Their standard deviation."""
        return float(np.sqrt(self.squares / self.count)) if self.count else 0.0

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
    sums = _Sums()
    expected, actual = reference.ravel(), found.ravel()
    for start in range(0, expected.size, BLOCK):
        block = slice(start, start + BLOCK)
        sums.add(expected[block].astype(np.float64), actual[block].astype(np.float64))
    spread = sums.spread
    yardstick = yardstick or _yardstick(reference, spread)
    with np.errstate(invalid="ignore", over="ignore"):
        typical = float(np.sqrt(sums.squares / expected.size)) if expected.size else 0.0
    return Difference(
        largest=sums.largest,
        mean=sums.total / expected.size if expected.size else 0.0,
        relative=sums.largest / yardstick.length,
        typical=typical / spread.length,
        cosine=sums.cosine if sums.is_in_range else cosine(expected.astype(np.float64), actual.astype(np.float64)),
        yardstick=yardstick,
        size=spread.largest,
        oddity=sums.oddity,
    )


@dataclass
class _Sums:
    """What is summed up of two arrays, block by block: whole arrays in 64 bits would not fit into a processor's cache,
    and some not into its memory.

    Attributes:
        largest: The largest absolute error.
        total: Of the absolute errors.
        squares: Of them.
        spread: Of the numbers of the reference.
        products: Of what is finite in both: the reference's squares, the other's, and each with the other.
        odd: How many are not a number, and how many infinite; of the reference, and of the other.
    """

    largest: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    spread: Spread = field(default_factory=Spread)
    products: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    odd: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 2), np.int64))

    def add(self, expected: NDArray[np.float64], actual: NDArray[np.float64]) -> None:
        """Take a block in."""
        with np.errstate(invalid="ignore", over="ignore"):
            errors = np.abs(actual - expected)
            total = float(errors.sum())
            is_finite = np.isfinite(total)
            if not is_finite:
                errors = absolute_errors(expected, actual)
                total = float(errors.sum())
                self.odd += [[test(side).sum() for side in (expected, actual)] for test in (np.isnan, np.isinf)]
            self.largest = float(np.maximum(self.largest, errors.max()))
            self.total += total
            self.squares += float(errors @ errors)
            self.spread = self.spread.with_more(expected if is_finite else expected[np.isfinite(expected)])
            if not is_finite:
                both = np.isfinite(expected) & np.isfinite(actual)
                expected, actual = expected[both], actual[both]
            self.products += [expected @ expected, actual @ actual, expected @ actual]

    @property
    def is_in_range(self) -> bool:
        """Whether the squares are numbers that rounding has not spoilt."""
        return bool(np.isfinite(self.products).all() and (self.products[:2] > TINY).all())

    @property
    def cosine(self) -> float:
        """See `cosine`."""
        first, second, both = self.products.tolist()
        return float("nan") if self.odd[0].any() else float(both / np.sqrt(first) / np.sqrt(second))

    @property
    def oddity(self) -> str:
        """What is not finite: how many NaN, and how many infinities, on either side."""
        kinds = zip(("NaN", "infinite"), self.odd.tolist(), strict=True)
        return ", ".join(
            f"{name} in {counts[0]} numbers of the reference and in {counts[1]} here"
            for name, counts in kinds
            if any(counts)
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
