"""What an input is, as a config writes it: `1x3x224x224`, or `1x77:int64:0-999`."""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES = ("float32", "float64", "float16", "int64", "int32", "uint8", "bool")
LARGEST = 2**28
"""Numbers of one item."""
_GRAMMAR = re.compile(r"(?P<shape>(?:n|\d+)(?:x\d+)*)(?::(?P<dtype>\w+)(?::(?P<low>-?[\d.]+)-(?P<high>-?[\d.]+))?)?")


@dataclass(frozen=True)
class InputSpec:
    """One input of a network.

    Attributes:
        name: The argument of the network's forward.
        shape: Of one item where the first axis counts items, else of the whole.
        batched: Whether the first axis counts items.
        dtype: One of `TYPES`.
        low: The smallest random number; None for what is usual for the type.
        high: The largest, likewise.
    """

    name: str
    shape: tuple[int, ...]
    batched: bool
    dtype: str
    low: float | None = None
    high: float | None = None

    @classmethod
    def parse(cls, name: str, text: str) -> InputSpec:
        """Read a shape, a type and a range: a first axis of 1 or n counts items, any other is as long as it says.

        Raises:
            ValueError: The text is not of that form, the type is unknown, or a length is zero.
        """
        match = _GRAMMAR.fullmatch(text)
        if match is None:
            raise ValueError(f"inputs.{name} is {text!r}, and a shape is written 1x3x224x224 or 1x77:int64:0-999")
        first, *rest = match["shape"].split("x")
        batched = first in ("1", "n")
        shape = tuple(map(int, rest if batched else (first, *rest)))
        dtype = match["dtype"] or "float32"
        if dtype not in TYPES:
            raise ValueError(f"inputs.{name} is of type {dtype!r}, which is none of {', '.join(TYPES)}")
        if math.prod(shape) > LARGEST:
            raise ValueError(f"inputs.{name} has more than {LARGEST:,} numbers in {text!r}")
        if 0 in shape:
            raise ValueError(f"inputs.{name} has an axis of length 0 in {text!r}")
        low, high = (None if match[side] is None else float(match[side]) for side in ("low", "high"))
        if low is not None and high is not None and low > high:
            raise ValueError(f"inputs.{name} is random from {low:g} to {high:g}, which is upside down")
        return cls(name, shape, batched, dtype, low, high)

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}[{', '.join(['n'] * self.batched + list(map(str, self.shape)))}]"

    @property
    def text(self) -> str:
        """The shape and the type, as `parse` reads them."""
        return f"{'x'.join(map(str, ((1,) if self.batched else ()) + self.shape))}:{self.dtype}"

    @property
    def is_range_guessed(self) -> bool:
        """Whether nothing says what numbers it holds: bytes hold 0 to 255, and truth values are two."""
        return self.low is None and self.dtype not in ("uint8", "bool")

    def random_items(self, count: int) -> NDArray[Any]:
        """`count` random items, each the same whatever the count; or one input that differs with the count."""
        if not self.batched:
            return self._random_item(count)
        return np.stack([self._random_item(index) for index in range(count)])

    def _random_item(self, index: int) -> NDArray[Any]:
        generator = np.random.default_rng([zlib.crc32(self.name.encode()), index])
        kind = np.dtype(self.dtype).kind
        if self.low is None or self.high is None:
            if kind == "f":
                return generator.standard_normal(self.shape).astype(self.dtype)
            low, high = 0.0, 255.0 if self.dtype == "uint8" else 1.0
        else:
            low, high = self.low, self.high
        if kind == "f":
            return generator.uniform(low, high, self.shape).astype(self.dtype)
        return generator.integers(int(low), int(high), self.shape, endpoint=True).astype(self.dtype)
