"""The fingerprint of a value: what a stage's key is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from compiler.sources.samples import array_digest
from compiler.stages.tools import class_digest

Fingerprint = None | bool | int | float | str | list[Any] | dict[str, Any]
"""What JSON can hold."""


def fingerprint(value: Any) -> Fingerprint:
    """A JSON-able form of a value, the same for equal values in every process and on every machine.

    A dataclass is its class and its fields, but for those that say where or how and not what: `field(compare=False)`.
    A class of the user's own counts with its code: see `class_digest`.

    Raises:
        TypeError: The value is of a kind whose content cannot be told: a stage may not have such a field.
    """
    found: Fingerprint
    match value:
        case None | bool() | int() | float() | str():
            found = value
        case Mapping():
            found = {str(key): fingerprint(item) for key, item in value.items()}
        case tuple() | list():
            found = [fingerprint(item) for item in value]
        case set() | frozenset():
            found = sorted(map(str, value))
        case np.ndarray():
            found = array_digest(value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            found = _of_dataclass(value)
        case _:
            raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} has no fingerprint: {value!r:.80}")
    return found


def _of_dataclass(value: Any) -> dict[str, Fingerprint]:
    kind = type(value)
    found: dict[str, Fingerprint] = {"class": f"{kind.__module__}.{kind.__qualname__}"}
    if source := class_digest(kind):
        found["source"] = source
    return found | {field.name: fingerprint(getattr(value, field.name)) for field in fields(value) if field.compare}
