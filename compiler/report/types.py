"""Whether what was read of JSON is of the types that its dataclasses say."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def is_of_type(value: Any, hint: Any) -> bool:
    """Whether a value, and all that is in it, is of a type as annotations write it."""
    kind, parameters = get_origin(hint) or hint, get_args(hint)
    if kind is Any:
        return True
    if kind in (Union, types.UnionType):
        return any(is_of_type(value, one) for one in parameters)
    if kind is Literal:
        return value in parameters
    if kind in (int, float):  # in Python True is a number
        return isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and _holds_types(value, parameters)


def _holds_types(value: Any, parameters: tuple[Any, ...]) -> bool:
    """Whether what is in a value is of the types of its annotation's parameters."""
    if isinstance(value, tuple):
        kinds = parameters[:1] * len(value) if Ellipsis in parameters else parameters
        return len(value) == len(kinds) and all(map(is_of_type, value, kinds))
    if isinstance(value, dict):
        return all(is_of_type(key, parameters[0]) and is_of_type(one, parameters[1]) for key, one in value.items())
    return not is_dataclass(value) or not mistyped(value)


def mistyped(value: Any) -> str:
    """The first field of a dataclass that is of another type than it says; empty where there is none."""
    hints = get_type_hints(type(value))
    wrong = (one.name for one in fields(value) if not is_of_type(getattr(value, one.name), hints[one.name]))
    return next(wrong, "")
