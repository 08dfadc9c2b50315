"""Build a typed object from a `_target_` node, without Hydra, so that a bundle opens where only the runtime is."""

from __future__ import annotations

import importlib
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union

from compiler.errors import UsageError, nearest

T = TypeVar("T")


def instantiate(node: Mapping[str, Any], base: type[T], *, where: str) -> T:
    """Return the frozen dataclass that a node describes, its nested nodes included.

    Args:
        node: `_target_` names the class; the rest are its fields.
        base: What the class must be.
        where: The node's config key, for errors.

    Raises:
        UsageError: The class does not exist or is of another kind; a field is unknown, missing or of the wrong type.
    """
    cls = _find(str(node.get("_target_", "")), where)
    if not (is_dataclass(cls) and issubclass(cls, base)):
        raise UsageError(
            f"{node['_target_']} is not a {base.__name__}",
            where=f"{where}._target_",
            fix=f"name a dataclass that derives from {base.__module__}.{base.__name__}",
        )
    return build_dataclass(cls, {key: node[key] for key in node if key != "_target_"}, where)


def build_dataclass(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Return a dataclass from its fields, each checked and converted to its type; nested dataclasses included.

    Raises:
        UsageError: A field is unknown, missing, of the wrong type, or contradicts another.
    """
    known = {field.name: field for field in fields(cls) if field.init}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise UsageError(f"there is no key '{_join(where, key)}'", where=where, fix=nearest(str(key), known))
    for name, field in known.items():
        if name not in values and field.default is field.default_factory is MISSING:
            raise UsageError(
                f"'{_join(where, name)}' is missing", where=where, why=f"{cls.__name__} has no default for it"
            )
    kinds = typing.get_type_hints(cls)
    arguments = {key: _convert(value, kinds[key], _join(where, key)) for key, value in values.items()}
    try:
        return cls(**arguments)
    except ValueError as error:
        raise UsageError(f"the settings of {cls.__name__} contradict each other", where=where, why=str(error)) from None


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _convert(value: Any, kind: Any, where: str) -> Any:
    """Return `value` as `kind`, or refuse it; a list becomes the tuple that a frozen dataclass holds."""
    origin, parameters = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in parameters:
            return None
        return _convert(value, next(option for option in parameters if option is not type(None)), where)
    if origin is tuple and isinstance(value, list | tuple):
        return _convert_tuple(value, parameters, where)
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return {key: _convert(item, parameters[1], f"{where}.{key}") for key, item in value.items()}
    if isinstance(kind, type):
        return _convert_plain(value, kind, where)
    raise _wrong_type(value, kind, where)


def _convert_tuple(value: list[Any] | tuple[Any, ...], parameters: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    kinds = [parameters[0]] * len(value) if parameters[-1:] == (...,) else list(parameters)
    if len(kinds) != len(value):
        raise UsageError(
            f"'{where}' has {len(value)} values, not {len(kinds)}", where=where, fix=f"give {len(kinds)} values"
        )
    return tuple(_convert(item, kind, f"{where}[{i}]") for i, (item, kind) in enumerate(zip(value, kinds, strict=True)))


def _convert_plain(value: Any, kind: type[Any], where: str) -> Any:
    if isinstance(value, Mapping) and "_target_" in value:
        return instantiate(value, kind, where=where)
    if isinstance(value, Mapping) and is_dataclass(kind):
        return build_dataclass(kind, value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
        return value
    raise _wrong_type(value, kind, where)


def _wrong_type(value: Any, kind: Any, where: str) -> UsageError:
    name = getattr(kind, "__name__", str(kind))
    return UsageError(
        f"'{where}' is {value!r}, not a {name}",
        where=where,
        why=f"a value of type {type(value).__name__} was given",
        fix=f"give a {name}",
    )


def _find(target: str, where: str) -> type[Any]:
    module_name, _, class_name = target.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"'{target}' cannot be found",
            where=f"{where}._target_",
            why=str(error),
            fix="give the full path of an importable class: package.module.Class",
        ) from error
    if not hasattr(module, class_name):
        raise UsageError(
            f"there is no '{class_name}' in {module_name}",
            where=f"{where}._target_",
            fix=nearest(class_name, [name for name in vars(module) if not name.startswith("_")]),
        )
    return typing.cast("type[Any]", getattr(module, class_name))
