"""Code that is loaded: the functions in it, and whether a source is what they were compiled from."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import SourceFileLoader
from types import CodeType, FunctionType, MethodType
from typing import Any


def functions_in(values: Iterable[object], module: str) -> Iterator[FunctionType]:
    """The functions among values, behind their wrappers, and in the classes of a module."""
    waiting, seen = list(values), set[int]()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, FunctionType):
            yield value
        waiting += _within(value, module)


def _within(value: object, module: str) -> list[object]:
    match value:
        case type():
            return list(vars(value).values()) if value.__module__ == module else []
        case FunctionType() | functools._lru_cache_wrapper():
            return [getattr(value, "__wrapped__", None)]
        case staticmethod() | classmethod() | MethodType():
            return [value.__func__]
        case property():
            return [value.fget, value.fset, value.fdel]
        case functools.partial() | functools.cached_property():
            return [value.func]
    return []


def is_loaded_from(source: bytes, file: str, namespace: Mapping[str, Any]) -> bool:
    """Whether every function of a loaded module that comes from a file is in a source of that file.

    A loader that rewrites what it loads, as pytest's does, cannot be asked what it would make of a source: there it is.
    """
    functions = functions_in(list(namespace.values()), str(namespace.get("__name__")))
    own = {function.__code__ for function in functions if function.__code__.co_filename == file}
    loader = namespace.get("__loader__") or SourceFileLoader("", file)
    if not own or not hasattr(loader, "source_to_code"):
        return True
    try:
        return own <= _codes_in(loader.source_to_code(source, file))
    except (SyntaxError, ValueError):
        return False


def code_content(code: CodeType) -> tuple[object, ...]:
    """What a function does, as data."""
    constants = (code_content(one) if isinstance(one, CodeType) else one for one in code.co_consts)
    return code.co_code, code.co_names, tuple(constants)


def _codes_in(code: CodeType) -> set[CodeType]:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return {code}.union(*map(_codes_in, inner))
