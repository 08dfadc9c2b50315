"""What a pass leaves in fp32."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kept:
    """A node that stays in fp32, though others like it do not.

    Attributes:
        node: Its name, or that of its first output where it has none.
        operator: Its type.
        why: The reason: `overflows`, with the figures; `asked for`; `its weight is computed`; and so on.
    """

    node: str
    operator: str
    why: str
