"""The input sizes that an engine is built for, and those that it is proven at."""

from __future__ import annotations

from dataclasses import dataclass

Size = tuple[int, ...]
"""Sides in the order of the network's input: height, width; or a number of voxels."""


@dataclass(frozen=True)
class SizeRange:
    """The sizes that an engine takes.

    Attributes:
        smallest: The smallest of each side.
        usual: What the engine is best at.
        largest: The largest of each side.
        stride: What each side is a multiple of.
    """

    smallest: Size
    usual: Size
    largest: Size
    stride: Size

    @property
    def fixed(self) -> bool:
        """Whether there is one size only."""
        return self.smallest == self.largest

    def fit(self, *sides: int) -> Size:
        """The smallest size in the range that holds `sides`; the largest where none does."""
        bounds = zip(sides, self.stride, self.smallest, self.largest, strict=True)
        return tuple(min(max(-(-side // stride) * stride, low), high) for side, stride, low, high in bounds)

    @classmethod
    def exactly(cls, size: Size) -> SizeRange:
        """The range that holds one size only."""
        return cls(size, size, size, (1,) * len(size))


@dataclass(frozen=True)
class InputSize:
    """A batch of inputs of one size, such as `4x640x640`."""

    batch: int
    size: Size

    def __str__(self) -> str:
        return size_text((self.batch, *self.size))


def size_text(size: Size) -> str:
    """A size as deploy names write it: `640x640`."""
    return "x".join(map(str, size))
