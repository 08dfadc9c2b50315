"""Build frozen dataclasses from config nodes, with the types of their fields checked."""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin, get_type_hints

from compiler.errors import UsageError, nearest

_SCALARS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def instantiate(node: object, base: type, where: str) -> object:
    """Build an instance of `base`, or of the subclass that the node's `_target_` names.

    Args:
        node: The values of the dataclass's fields, and `_target_` as the dotted path of its class. Fields that are
            dataclasses are nodes themselves.
        base: What the result must be an instance of; built itself where the node has no `_target_`.
        where: The node's path in the config, for error messages.

    Raises:
        UsageError: The class is no dataclass of that kind, or a key is unknown, missing or wrong. The error names it.
    """
    if not isinstance(node, Mapping):
        raise UsageError(f"{where} is not a group of keys", where=where, why=f"it is {node!r}")
    if "_target_" not in node and not dataclasses.is_dataclass(base):
        raise UsageError(f"{where}._target_ is missing", where=where, fix=f"name a class that is a {base.__name__}")
    kind = _dataclass(str(node["_target_"]), base, f"{where}._target_") if "_target_" in node else base
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    for key in node:
        if key != "_target_" and key not in fields:
            raise UsageError(
                f"{where}.{key} is not a setting of {kind.__name__}",
                where=f"{where}.{key}",
                fix=nearest(str(key), fields),
            )
    for name, field in fields.items():
        if name not in node and field.default is field.default_factory is dataclasses.MISSING:
            raise UsageError(f"{where}.{name} is missing", where=where, why=f"{kind.__name__} has no default for it")
    hints = get_type_hints(kind)
    values: dict[str, Any] = {
        key: _convert(node[key], hints[key], f"{where}.{key}") for key in node if key != "_target_"
    }
    try:
        return kind(**values)
    except ValueError as error:
        raise UsageError(
            f"The settings of {kind.__name__} contradict each other", where=where, why=str(error)
        ) from None


def _dataclass(target: str, base: type, where: str) -> type:
    """Import the dataclass at the dotted path `target`, which must be a kind of `base`."""
    module_name, _, name = target.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{target} cannot be imported", where=where, why=str(error)) from error
    classes: dict[str, type] = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and dataclasses.is_dataclass(value)
    }
    if name not in classes:
        raise UsageError(f"{target} is not a {base.__name__}", where=where, fix=nearest(name, classes))
    return classes[name]


def _convert(value: object, hint: object, where: str) -> object:
    """Return `value` as the type `hint`, which is a scalar, a tuple or a dataclass."""
    if get_origin(hint) is tuple:
        return _tuple(value, get_args(hint), where)
    if not isinstance(hint, type):
        raise TypeError(f"{where}: a field of the type {hint} cannot be read from a config")
    if hint in _SCALARS:
        return _scalar(value, hint, where)
    return instantiate(value, hint, where)


def _scalar(value: object, kind: type, where: str) -> object:
    accepted = (int, float) if kind is float else kind
    # In Python True is a number; in a config it is a mistake.
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise UsageError(f"{where} must be {_SCALARS[kind]}", where=where, why=f"it is {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{where} must be finite", where=where, why=f"it is {value!r}")
    converted: object = kind(value)
    return converted


def _tuple(value: object, kinds: tuple[object, ...], where: str) -> tuple[object, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise UsageError(f"{where} must be a list", where=where, why=f"it is {value!r}")
    if Ellipsis in kinds:
        kinds = kinds[:1] * len(value)
    if len(value) != len(kinds):
        raise UsageError(f"{where} must have {len(kinds)} items", where=where, why=f"it has {len(value)}: {value!r}")
    return tuple(
        _convert(item, kind, f"{where}[{index}]") for index, (item, kind) in enumerate(zip(value, kinds, strict=True))
    )
