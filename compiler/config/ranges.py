"""The range that a number in a config lies in, written beside its default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from compiler.errors import UsageError

_RANGE = "range"


def between(low: float, high: float, *, default: float | None) -> Any:
    """A field of a dataclass whose value is checked wherever a config builds it.

    Args:
        low: The smallest that it may be.
        high: The largest.
        default: Where nothing is given; None for a field that may be none.
    """
    return field(default=default, metadata={_RANGE: (low, high)})


def check_range(value: Any, metadata: Mapping[str, Any], where: str) -> None:
    """Refuse a number that is out of the range of its field.

    Raises:
        UsageError: It is.
    """
    if value is None or _RANGE not in metadata:
        return
    low, high = metadata[_RANGE]
    if not low <= value <= high:
        raise UsageError(
            f"'{where}' must be from {low:,} to {high:,}",
            where=where,
            why=f"it is {value:,}",
            fix="give a number of that range, or leave it out",
        )
