"""A value of a config that is one of a few."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.errors import UsageError, nearest


def require_choice(value: str, choices: Iterable[str], where: str) -> None:
    """Refuse what is none of the choices, and offer the nearest of them.

    Args:
        value: What is given.
        choices: All that may be.
        where: Its key, such as `backend.target`.

    Raises:
        UsageError: It is none of them.
    """
    known = tuple(choices)
    if value not in known:
        raise UsageError(f"'{value}' is not a choice of {where}", where=where, fix=nearest(value, known))
