"""Names that folders and files are called after."""

from __future__ import annotations

import re

from compiler.errors import UsageError

_PLAIN_NAME = re.compile(r"\w(?:[\w.+-]{0,98}[\w+])?")


def require_plain_name(name: str, where: str) -> None:
    """Refuse what a folder or file cannot be called: nothing is written but where the output goes.

    Args:
        name: Such as a model's.
        where: Its place in the config.

    Raises:
        UsageError: It is empty, too long, or could lead elsewhere.
    """
    if not _PLAIN_NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is no name" if name else f"'{where}' is empty",
            where=where,
            why="folders and files are called after it",
            fix="use letters, digits, and . _ + - between them, 100 at most; for example rtmpose-s",
        )
