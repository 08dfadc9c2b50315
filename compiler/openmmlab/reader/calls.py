"""The functions and methods that a config may call, each paid for before it runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain
from string import Formatter
from typing import Any

from compiler.errors import nearest
from compiler.openmmlab.reader.budget import Budget, Refusal
from compiler.openmmlab.reader.values import Inherited

_METHODS: dict[type, frozenset[str]] = {
    dict: frozenset({"copy", "get", "items", "keys", "pop", "update", "values"}),
    list: frozenset({"append", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse"}),
    tuple: frozenset({"count", "index"}),
    str: frozenset(
        {"capitalize", "endswith", "format", "join", "lower", "lstrip", "replace", "rstrip", "split", "startswith"}
        | {"strip", "title", "upper"}
    ),
}
_LARGEST_WIDTH = 999


def call_function(name: str, arguments: Sequence[Any], keywords: dict[str, Any], budget: Budget) -> Any:
    """What one of the functions that configs use gives.

    Raises:
        Refusal: The function is not one of them, or its result is too large.
    """
    if name not in _FUNCTIONS:
        raise Refusal(f"{name}() is not called while a config is read; {nearest(name, _FUNCTIONS)}")
    budget.measure(arguments)
    budget.measure(keywords)
    if name == "range":
        budget.spend(len(range(*arguments)))
    return budget.counted(_FUNCTIONS[name](*arguments, **keywords))


def call_method(value: Any, name: str, arguments: Sequence[Any], keywords: dict[str, Any], budget: Budget) -> Any:
    """What a method of a dictionary, list, tuple or text gives.

    Raises:
        Refusal: The method is not one that configs use, or its result is too large.
    """
    kind = next((kind for kind in _METHODS if isinstance(value, kind)), None)
    if kind is None or name not in _METHODS[kind]:
        raise Refusal(f"the method {name} of a {type(value).__name__} is not called while a config is read")
    budget.measure(arguments)
    budget.measure(keywords)
    if isinstance(value, str):
        return budget.counted(_of_text(value, name, arguments, keywords, budget))
    if isinstance(value, Inherited) and name in _INHERITED:
        return _INHERITED[name](value, *arguments, **keywords)
    if name in ("count", "index", "remove"):
        budget.measure(value)
    result = getattr(value, name)(*arguments, **keywords)
    if name in ("items", "keys", "values"):
        return budget.counted(list(result))
    return budget.counted(result) if name == "copy" else result


def format_value(value: Any, spec: str, budget: Budget) -> str:
    """A value as text, as an f-string writes it.

    Raises:
        Refusal: The text would be too large.
    """
    budget.measure(value)
    if any(int(number) > _LARGEST_WIDTH for number in re.findall(r"\d+", spec[:100])) or len(spec) > 100:
        raise Refusal(f"a format asks for more than {_LARGEST_WIDTH} characters")
    text = format(value, spec)
    budget.spend(len(text))
    return text


def _of_text(text: str, name: str, arguments: Sequence[Any], keywords: dict[str, Any], budget: Budget) -> Any:
    budget.spend(len(text))
    if name == "format":
        return _format(text, arguments, keywords, budget)
    if name == "join":
        budget.spend(len(text) * len(arguments[0]))
    elif name == "replace":
        budget.spend((text.count(arguments[0])) * len(arguments[1]))
    return getattr(text, name)(*arguments, **keywords)


def _format(text: str, arguments: Sequence[Any], keywords: dict[str, Any], budget: Budget) -> str:
    pieces: list[str] = []
    for position, (literal, field, spec, conversion) in enumerate(Formatter().parse(text)):
        pieces.append(literal)
        if field is None:
            continue
        if "{" in (spec or "") or conversion or not re.fullmatch(r"\w*", field):
            raise Refusal(f"the field {field[:40]!r} of a format is more than a name or a position")
        value = keywords[field] if field in keywords else arguments[int(field) if field else position]
        pieces.append(format_value(value, spec or "", budget))
    return "".join(pieces)


def _merge(value: Inherited, *others: dict[Any, Any], **entries: Any) -> None:
    for other in (*others, entries):
        value.merge(other)


def _pop(value: Inherited, key: Any, default: Any = None) -> Any:
    return value.pop(key, default)


def _sum(items: Sequence[Any], start: Any = 0) -> Any:
    # Adding lists one by one copies the sum each time.
    return list(chain(start, *items)) if isinstance(start, list) else sum(items, start)


def _round(number: float, digits: int | None = None) -> float:
    if digits is not None and abs(digits) > _LARGEST_WIDTH:
        raise Refusal(f"a number is rounded to {digits} digits")
    return round(number, digits)


def _listed(function: Callable[..., Any]) -> Callable[..., list[Any]]:
    """A function that gives its elements as a list, where Python's own gives them one by one."""

    def call(*arguments: Any, **keywords: Any) -> list[Any]:
        return list(function(*arguments, **keywords))

    return call


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{function.__name__: function for function in (abs, all, any, bool, dict, float, int, len, list, max, min)},
    **{function.__name__: function for function in (set, sorted, str, tuple)},
    **{function.__name__: _listed(function) for function in (enumerate, range, reversed, zip)},
    "round": _round,
    "sum": _sum,
}
# What an inherited dictionary does otherwise than a plain one.
_INHERITED: dict[str, Callable[..., Any]] = {"pop": _pop, "update": _merge}
