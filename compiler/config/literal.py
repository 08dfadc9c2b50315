"""Text from data in a config that Hydra composes: it means itself, whatever it looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_REFERENCE = re.compile(r"(\\*)\$\{")
_MISSING = "???"
_WRITTEN_MISSING = "${oc.decode:\"'???'\"}"
"""What is resolved to the three question marks, which cannot be escaped: they stand for a value that is missing."""


class Reference(str):
    """A text of ours that refers to another key, such as `${tail}`. Every other text in translated data is data."""

    __slots__ = ()


def literal(value: Any) -> Any:
    """A value as a config file has to say it so that composing gives it back: no text of it is resolved."""
    match value:
        case Reference():
            return str(value)
        case str():
            return _WRITTEN_MISSING if value == _MISSING else _REFERENCE.sub(r"\1\1\\${", value)
        case Mapping():
            return {key: literal(item) for key, item in value.items()}
        case list() | tuple():
            return [literal(item) for item in value]
    return value
