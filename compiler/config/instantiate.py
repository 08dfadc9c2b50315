"""Build frozen dataclasses from config nodes, with the types of their fields checked.

Neither Hydra nor OmegaConf is needed, so that a bundle opens where only the runtime is installed.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from inspect import isabstract
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from compiler.artifact.source_code import import_recorded
from compiler.config.moved import present_target
from compiler.config.ranges import check_range
from compiler.errors import UsageError, nearest
from compiler.printable import shortened

T = TypeVar("T")

LONGEST = 63
"""Bits of a whole number, as arrays hold them."""
_SCALARS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def instantiate(node: Mapping[str, Any], base: type[T], where: str = "") -> T:
    """Build an instance of `base`, or of the subclass that the node's `_target_` names.

    Args:
        node: The values of the dataclass's fields, and `_target_` as the dotted path of its class. Fields that are
            dataclasses are nodes themselves.
        base: What the result must be an instance of; built itself where the node has no `_target_`.
        where: The node's path in the config, for error messages.

    Raises:
        UsageError: The class is no dataclass of that kind, or a key is unknown, missing, wrong or out of its range. The
            error names it.
    """
    if not isinstance(node, Mapping):
        raise UsageError(f"{where} is not a group of keys", where=where, why=f"it is {_written(node)}")
    if "_target_" not in node and not is_dataclass(base):
        path = _join(where, "_target_")
        raise UsageError(f"'{path}' is missing", where=path, why=f"there are several kinds of {base.__name__}")
    kind = find_class(str(node["_target_"]), base, _join(where, "_target_")) if "_target_" in node else base
    known = {field.name: field for field in fields(kind) if field.init}  # type: ignore[arg-type]
    for key in node:
        if key != "_target_" and key not in known:
            path = _join(where, key)
            raise UsageError(f"there is no key '{path}'", where=path, fix=nearest(str(key), known))
    for name, field in known.items():
        if name not in node and field.default is field.default_factory is MISSING:
            path = _join(where, name)
            raise UsageError(f"'{path}' is missing", where=path, why=f"{kind.__name__} has no default for it")
    hints = get_type_hints(kind)
    values = {key: _convert(node[key], hints[key], _join(where, key)) for key in node if key != "_target_"}
    for key, value in values.items():
        check_range(value, known[key].metadata, _join(where, key))
    try:
        return kind(**values)
    except ValueError as error:
        message = f"the settings of {kind.__name__} contradict each other"
        raise UsageError(message, where=where, why=str(error)) from None


def find_class(target: str, base: type[T], where: str, kind: str = "") -> type[T]:
    """The dataclass at a dotted path, imported.

    Args:
        target: Of today or of an earlier layout.
        base: What it must derive from.
        where: The path's place in the config, for error messages.
        kind: What it has to be, for error messages, unless that is what `base` is called.

    Raises:
        UsageError: It cannot be imported, or is nothing that a config builds.
    """
    module_name, _, name = present_target(target).rpartition(".")
    try:
        found = classes_in(module_name, base)
    except ImportError as error:
        raise UsageError(
            f"{target} cannot be imported",
            where=where,
            why=str(error),
            fix="give the full path of a class that can be imported: package.module.Class",
        ) from error
    classes = {key: value for key, value in found.items() if is_dataclass(value) and not isabstract(value)}
    if name not in classes:
        raise UsageError(f"{target} is not a {kind or base.__name__}", where=where, fix=nearest(name, classes))
    return classes[name]


def classes_in(module_name: str, base: type[T]) -> dict[str, type[T]]:
    """The classes in a module that derive from `base`, by name.

    Raises:
        ImportError: The module cannot be imported, or its name is none.
    """
    try:
        module = import_recorded(module_name)
    except (ValueError, TypeError) as error:  # an empty name is the one, a leading dot the other
        raise ImportError(str(error)) from error
    # In Python 3.10 an alias such as dict[str, int] counts as a type, and has an origin.
    classes = {name: value for name, value in vars(module).items() if isinstance(value, type) and not get_origin(value)}
    return {name: value for name, value in classes.items() if issubclass(value, base)}


def _convert(value: Any, hint: Any, where: str) -> Any:
    """`value` as the type `hint`: anything, a scalar, an optional, a tuple, a mapping or a dataclass."""
    origin, parameters = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        present = next(option for option in parameters if option is not type(None))
        return None if value is None else _convert(value, present, where)
    if hint in _SCALARS:
        return _scalar(value, hint, where)
    if origin is tuple:
        return _tuple(value, parameters, where)
    if origin is dict:
        return _mapping(value, parameters[1], where)
    return instantiate(value, hint, where)


def _scalar(value: Any, kind: type, where: str) -> Any:
    accepted = (int, float) if kind is float else kind
    # In Python True is a number; in a config it is a mistake.
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise UsageError(f"'{where}' must be {_SCALARS[kind]}", where=where, why=f"it is {_written(value)}")
    if isinstance(value, int) and value.bit_length() > LONGEST:
        raise UsageError(f"'{where}' must be less than 2^{LONGEST}", where=where, why=f"it is {_written(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"'{where}' must be finite", where=where, why=f"it is {_written(value)}")
    return kind(value)


def _written(value: object) -> str:
    try:
        return shortened(repr(value))
    except ValueError:  # Python writes no number of thousands of digits
        return "a number of thousands of digits"


def _tuple(value: Any, kinds: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise UsageError(f"'{where}' must be a list", where=where, why=f"it is {_written(value)}", fix="write [a,b,c]")
    if Ellipsis in kinds:
        kinds = kinds[:1] * len(value)
    if len(value) != len(kinds):
        raise UsageError(
            f"'{where}' must have {len(kinds)} items", where=where, why=f"it has {len(value)}: {_written(value)}"
        )
    return tuple(
        _convert(item, kind, f"{where}[{index}]") for index, (item, kind) in enumerate(zip(value, kinds, strict=True))
    )


def _mapping(value: Any, kind: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"'{where}' must be a group of keys", where=where, why=f"it is {_written(value)}")
    return {str(key): _convert(item, kind, _join(where, key)) for key, item in value.items()}


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)
