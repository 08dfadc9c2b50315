"""What an input is, as a config writes it: `1x3x224x224`, `1x77:int64:0-999`, or `1x16-4x128` where lengths vary."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Dimension
from compiler.artifact.specs import INTEGERS, TYPES
from compiler.tasks.arrays.lengths import Lengths

LARGEST = 2**28
"""Numbers of one item."""
BATCH = "batch"
"""The axis that counts items."""
SCALAR = "scalar"
"""The shape of an input without axes."""
ITEMS = ("n", BATCH)
"""What it is called in a shape."""
_AXIS = r"(?:\d+|[A-Za-wyz_%][A-Za-wyz0-9_%]*)"
_SHAPE = rf"{_AXIS}(?:x{_AXIS})*"
_GRAMMAR = re.compile(
    rf"(?P<shape>{SCALAR}|{_SHAPE}(?:-{_SHAPE}){{0,2}})"
    r"(?::(?P<dtype>\w+)(?::(?P<low>-?[\d.]+)-(?P<high>-?[\d.]+))?)?"
)


@dataclass(frozen=True)
class InputSpec:
    """One input of a network.

    Attributes:
        name: The argument of the network's forward.
        shape: A number where a length is fixed, else the name of an axis: `BATCH` counts items, and axes of one name
            are equally long.
        dtype: One of `TYPES`.
        low: The smallest random number; None for what is usual for the type.
        high: The largest, likewise.
        ranges: How long the axes that vary may be, as far as it is written beside them.
        written: The shape, as `parse` reads it.
    """

    name: str
    shape: tuple[Dimension, ...]
    dtype: str
    low: float | None = None
    high: float | None = None
    ranges: Mapping[str, Lengths] = field(default_factory=dict)
    written: str = field(default="", compare=False)

    @classmethod
    def parse(cls, name: str, text: str) -> InputSpec:
        """Read a shape, a type and a range of numbers.

        An axis is a length or a name; `n` counts items, and so does a first axis of 1 where no other does. Two shapes,
        `1x16-4x128`, are the smallest and the largest, three have the usual one between them: what differs varies,
        and what is the same is fixed.

        Raises:
            ValueError: The text is not of that form, the type is unknown, or numbers contradict each other.
        """
        match = _GRAMMAR.fullmatch(text)
        if match is None:
            raise ValueError(f"inputs.{name} is {text!r}, and a shape is written 1x3x224x224 or 1x77:int64:0-999")
        dtype = match["dtype"] or "float32"
        if dtype not in TYPES:
            raise ValueError(f"inputs.{name} is of type {dtype!r}, which is none of {', '.join(TYPES)}")
        shape, ranges = _shape(name, match["shape"])
        longest = [ranges[axis].largest if axis in ranges else axis for axis in shape if axis != BATCH]
        if math.prod(length for length in longest if isinstance(length, int)) > LARGEST:
            raise ValueError(f"inputs.{name} has more than {LARGEST:,} numbers in {text!r}")
        low, high = (None if match[side] is None else float(match[side]) for side in ("low", "high"))
        if low is not None and high is not None:
            _check_range(name, dtype, low, high)
        return cls(name, shape, dtype, low, high, ranges, match["shape"])

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}[{', '.join('n' if axis == BATCH else str(axis) for axis in self.shape)}]"

    @property
    def text(self) -> str:
        """The shape and the type, as `parse` reads them."""
        return f"{self.written}:{self.dtype}"

    @property
    def axes(self) -> dict[int, str]:
        """The names of the axes that are not fixed, by position."""
        return {position: axis for position, axis in enumerate(self.shape) if isinstance(axis, str)}

    @property
    def items_axis(self) -> int | None:
        """The position of the one axis that counts items; None where there is none, or more than one."""
        return self.shape.index(BATCH) if self.shape.count(BATCH) == 1 else None

    @property
    def batched(self) -> bool:
        """Whether the first axis counts items, and no other does."""
        return self.items_axis == 0

    @property
    def is_range_guessed(self) -> bool:
        """Whether nothing says what numbers it holds: bytes hold 0 to 255, and truth values are two."""
        return self.low is None and self.dtype not in ("uint8", "bool")

    def with_lengths(self, lengths: Mapping[str, Lengths]) -> InputSpec:
        """The same, with numbers for the axes of which there is one length only."""
        fixed = {axis: one.usual for axis, one in lengths.items() if not one.varies}
        return replace(self, shape=tuple(fixed.get(axis, axis) if axis != BATCH else axis for axis in self.shape))  # type: ignore[arg-type]

    def sizes(self, count: int, lengths: Mapping[str, int]) -> tuple[int, ...]:
        """The whole shape for `count` items and lengths of the other axes."""
        known = {**lengths, BATCH: count}
        return tuple(known[axis] if isinstance(axis, str) else axis for axis in self.shape)

    def random_items(self, count: int, lengths: Mapping[str, int] | None = None) -> NDArray[Any]:
        """`count` random items, each the same whatever the count; or one input that differs with the count."""
        shape, place = self.sizes(count, lengths or {}), self.items_axis
        if place is None:
            return self._random_item(count, shape)
        item = shape[:place] + shape[place + 1 :]
        return np.stack([self._random_item(index, item) for index in range(count)], axis=place)

    def _random_item(self, index: int, shape: tuple[int, ...]) -> NDArray[Any]:
        generator = np.random.default_rng([zlib.crc32(self.name.encode()), index])
        kind = np.dtype(self.dtype).kind
        if self.low is None or self.high is None:
            if kind == "f":
                return np.asarray(generator.standard_normal(shape), self.dtype)
            low, high = 0.0, 255.0 if self.dtype == "uint8" else 1.0
        else:
            low, high = self.low, self.high
        if kind == "f":
            return np.asarray(generator.uniform(low, high, shape), self.dtype)
        return np.asarray(generator.integers(int(low), int(high), shape, endpoint=True), self.dtype)


def quoted(axis: str) -> str:
    """The name of an axis, as a shape has it: what would end it there is written as a URL has it."""
    text = quote(axis, safe="")
    for letter in "x-.~":
        text = text.replace(letter, f"%{ord(letter):02X}")
    return f"%{ord(text[0]):02X}{text[1:]}" if text[:1].isdigit() else text


def _shape(name: str, text: str) -> tuple[tuple[Dimension, ...], dict[str, Lengths]]:
    """The axes that a text names, and the lengths of those that vary."""
    if text == SCALAR:
        return (), {}
    shapes = [one.split("x") for one in text.split("-")]
    if len({len(shape) for shape in shapes}) > 1:
        raise ValueError(f"inputs.{name} has shapes of different numbers of axes in {text!r}")
    counts = any(axis in ITEMS for axis in shapes[0])
    axes: list[Dimension] = []
    ranges: dict[str, Lengths] = {}
    for position, lengths in enumerate(zip(*shapes, strict=True)):
        may_count = position == 0 and not counts
        axis = _axis(name, lengths, position, may_count=may_count)
        if isinstance(axis, str) and lengths[0].isdigit() and len(lengths) > 1:
            try:
                ranges[axis] = Lengths.of([int(length) for length in lengths])
            except ValueError as error:
                raise ValueError(f"inputs.{name} is {text}: {error}") from error
        axes.append(axis)
    return tuple(axes), ranges


def _axis(name: str, lengths: Sequence[str], position: int, *, may_count: bool) -> Dimension:
    """One axis, of which one, two or three lengths are written, or the same name."""
    first = lengths[0]
    if not all(length.isdigit() for length in lengths):
        if len(set(lengths)) > 1:
            raise ValueError(f"inputs.{name} has an axis that is {' and '.join(lengths)}")
        return BATCH if first in ITEMS else unquote(first)
    if len(set(lengths)) > 1:
        return BATCH if may_count else f"{name}_{position}"
    return BATCH if may_count and int(first) == 1 and len(lengths) == 1 else int(first)


def _check_range(name: str, dtype: str, low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"inputs.{name} is random from {low:g} to {high:g}, which is upside down")
    if dtype in INTEGERS:
        most = np.iinfo(dtype)
        if low < most.min or high > most.max:
            raise ValueError(f"inputs.{name} is random from {low:g} to {high:g}, which {dtype} does not hold")
