"""Protocol buffers as text, the form of Triton's `config.pbtxt`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PLAIN = frozenset(range(0x20, 0x7F)) - set(b"\\\"'")


class Word(str):
    """The name of a value of an enumeration, which stands without quotes."""

    __slots__ = ()


def text_format(message: Mapping[str, Any], margin: str = "") -> str:
    """A message as text, a field in each line.

    Args:
        message: Its fields by name: a text, a number, a truth, a `Word`, a message, or a list of one of these for a
            field that is repeated.
        margin: In front of each line.
    """
    return "".join(_field(name, value, margin) for name, value in message.items())


def key_values(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A field that is a map: entries of a key and a value each."""
    return [{"key": key, "value": value} for key, value in values.items()]


def _field(name: str, value: Any, margin: str) -> str:
    if isinstance(value, list):
        if any(isinstance(one, Mapping) for one in value):
            return "".join(_field(name, one, margin) for one in value)
        return f"{margin}{name}: [{', '.join(map(_scalar, value))}]\n" if value else ""
    if isinstance(value, Mapping):
        return f"{margin}{name} {{\n{text_format(value, f'{margin}  ')}{margin}}}\n"
    return f"{margin}{name}: {_scalar(value)}\n"


def _scalar(value: Any) -> str:
    if isinstance(value, Word):
        return value
    if isinstance(value, str):
        return quoted(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def quoted(text: str) -> str:
    """A text in quotes, in which nothing ends them: what is not plain is a number in octal for each of its bytes."""
    data = text.encode("utf-8", "backslashreplace")
    return '"' + "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in data) + '"'
