"""Numbers of a config that count something: layers, channels, classes."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.errors import UsageError

LARGEST_COUNT = 2**20
"""Far beyond what a network has of anything; what is made so many times takes seconds, not days."""


def check_counts(node: object, where: str) -> None:
    """Refuse a whole number that nothing can be counted by, wherever it stands in a node.

    Raises:
        UsageError: There is one.
    """
    if isinstance(node, Mapping):
        for key, value in node.items():
            check_counts(value, f"{where}.{key}")
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            check_counts(value, f"{where}[{index}]")
    elif isinstance(node, int) and abs(node) > LARGEST_COUNT:
        raise UsageError(
            "the network cannot be built",
            where=where,
            why=f"it is {node:,}, and no network has more than {LARGEST_COUNT:,} of anything",
            fix="give a smaller number",
        )
