"""What reading a config may cost: a hostile file is refused before it fills memory or takes long."""

from __future__ import annotations

from itertools import chain
from typing import Any

STEPS = 1_000_000
DEPTH = 100
BITS = 1024
"""Of an integer: far beyond what a config means, and small enough for every operation to be quick."""


class Refusal(Exception):  # noqa: N818 - what it becomes for a user, with its place in the file, is the error
    """Something that a config holds and that is not read.

    Args:
        why: The cause.
        fix: What to do about it.
    """

    def __init__(self, why: str, fix: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix


class Budget:
    """The steps that are left for a config and all its bases: one for an expression, and for each element made."""

    def __init__(self, steps: int = STEPS) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Take steps from the budget.

        Raises:
            Refusal: So many are not left.
        """
        if steps > self.left:
            raise Refusal(f"reading this config takes more than {STEPS:,} steps, or makes as many values")
        self.left -= steps

    def measure(self, value: Any, depth: int = 0) -> None:
        """Pay for walking through a value, which comparing, hashing and writing it as text all do.

        A list that holds another one twice is walked twice: thirty such lists in each other are a billion elements.

        Raises:
            Refusal: The value is too large, nested too deeply or holds itself.
        """
        if depth > DEPTH:
            raise Refusal(f"a value is nested deeper than {DEPTH} levels")
        self.spend()
        if isinstance(value, str):
            self.spend(len(value))
        elif isinstance(value, dict):
            for item in chain.from_iterable(value.items()):
                self.measure(item, depth + 1)
        elif isinstance(value, (list, tuple, set)):
            for item in value:
                self.measure(item, depth + 1)

    def counted(self, value: Any) -> Any:
        """A value that an expression made, once it is paid for.

        Raises:
            Refusal: It is too large, or nothing that a config holds.
        """
        if isinstance(value, bool) or value is None or isinstance(value, float):
            return value
        if isinstance(value, int):
            if value.bit_length() > BITS:
                raise Refusal(f"a number has more than {BITS} bits")
        elif isinstance(value, (str, list, tuple, dict, set)):
            self.spend(len(value))
        else:
            raise Refusal(f"a value of the type {type(value).__name__} is nothing that a config holds")
        return value
