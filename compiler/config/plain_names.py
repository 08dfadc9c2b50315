"""Names that folders and files are called after."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compiler.artifact.names import is_inside
from compiler.errors import UsageError

LONGEST = 100
"""Of a name, in characters."""

_PLAIN_NAME = re.compile(r"\w(?:[\w.+-]{0,98}[\w+])?")


def plain_name(text: str) -> str:
    """A name after a text, such as that of a file; empty where no letter and no digit is in it."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def with_own_name(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a config whose model has a name: where nobody gave one, that of its target or its file.

    Where that is no name either, it is the algorithm's.
    """
    model = values.get("model")
    if not isinstance(model, Mapping) or model.get("name") != "":
        return dict(values)
    origins = (str(model.get("target") or ""), Path(str(model.get("file") or "")).stem)
    names = (plain_name(origin)[:LONGEST].strip("-") for origin in origins)
    return {**values, "model": {**model, "name": next(filter(_is_plain, names), model.get("algo"))}}


def require_plain_name(name: str, where: str) -> None:
    """Refuse what a folder or file cannot be called: nothing is written but where the output goes.

    Args:
        name: Such as a model's.
        where: Its place in the config.

    Raises:
        UsageError: It is empty, too long, a device's on some system, or could lead elsewhere.
    """
    if not _is_plain(name):
        raise UsageError(
            f"'{name}' is no name" if name else f"'{where}' is empty",
            where=where,
            why="folders and files are called after it",
            fix="use letters, digits, and . _ + - between them, 100 at most; for example rtmpose-s",
        )


def _is_plain(name: str) -> bool:
    return bool(_PLAIN_NAME.fullmatch(name)) and is_inside(name)
