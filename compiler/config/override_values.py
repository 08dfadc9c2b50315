"""Values of Python as overrides, in Hydra's grammar."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import Any

from compiler.errors import UsageError

_PLAIN = re.compile(r"[A-Za-z./](?:[\w./+ -]*[\w./+-])?", re.ASCII)
"""A text that means itself in an override, `_WORDS` aside."""
_WORDS = ("null", "true", "false", "nan", "inf")


def overrides_of(settings: Mapping[str, Any], parent: str = "") -> Iterator[str]:
    """Yield the override of each setting, in Hydra's grammar; a mapping is a group of them.

    Raises:
        UsageError: A value is none that a config can hold.
    """
    for name, value in settings.items():
        key = f"{parent}.{name}" if parent else name
        if isinstance(value, Mapping):
            yield from overrides_of(value, key)
        else:
            yield f"{key}={_in_grammar(value, key)}"


def _in_grammar(value: Any, key: str) -> str:
    """A value as an override has it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case str() | PathLike():
            return _quoted(str(value))
        case list() | tuple():
            return f"[{','.join(_in_grammar(one, key) for one in value)}]"
    raise UsageError(
        f"{value!r:.100} is nothing that a config can hold",
        where=key,
        fix="give a text, a path, a number, a truth, None, or a list of such; a mapping for a group of settings",
    )


def _quoted(text: str) -> str:
    """A text that Hydra's grammar takes as it is."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    # Backslashes are the text's own, but for those in front of `${`, which refers to something, of a quote, or the end.
    referring = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return "'" + re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), referring) + "'"
