"""The values of a config: what a base hands down, how two configs merge, and the plain copy that a reader gets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from compiler.openmmlab.reader.budget import DEPTH, Budget, Refusal

DELETE = "_delete_"
PLACEHOLDER = re.compile(r"\{\{ _base_\.([\w.]+) \}\}")
"""What stands in a value for one of the base's, in the spelling that the file's text is brought to."""


class Inherited(dict[Any, Any]):
    """A dictionary from a base: its keys are read and set as attributes too, and it merges where a `dict` replaces."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, inherit(value))

    def merge(self, other: Mapping[Any, Any]) -> None:
        """Take over the entries of another dictionary, dictionaries within both being merged themselves."""
        for key, value in other.items():
            mine = self.get(key)
            if isinstance(mine, Inherited) and isinstance(value, dict):
                mine.merge(value)
            else:
                self[key] = value


def inherit(value: Any) -> Any:
    """A value as a base hands it down: its dictionaries as `Inherited`, those that are so already as they are.

    Lists and tuples are copied.
    """
    if isinstance(value, dict):
        if isinstance(value, Inherited):
            return value
        return Inherited((key, inherit(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return type(value)(inherit(item) for item in value)
    return value


def plain(value: Any, budget: Budget, base: Mapping[str, Any], depth: int = 0) -> Any:
    """A copy of plain dictionaries, lists and tuples, each placeholder replaced by the base's value.

    Nothing in the copy is shared. A set becomes a list, in an order that does not depend on the run.

    Raises:
        Refusal: The value is too large, nested too deeply, holds itself, or what no config holds.
    """
    if depth > DEPTH:
        raise Refusal(f"a value is nested deeper than {DEPTH} levels, or holds itself")
    budget.spend()
    if isinstance(value, dict):
        return {_key(key): plain(item, budget, base, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([plain(item, budget, base, depth + 1) for item in value])
    if isinstance(value, set):
        return plain(sorted(value, key=repr), budget, base, depth)
    if isinstance(value, str) and PLACEHOLDER.search(value):
        return plain(_of_base(value, base), budget, {}, depth + 1)
    return budget.counted(value) if not isinstance(value, str) else value


def _key(key: Any) -> Any:
    if isinstance(key, (str, int, float, tuple)) or key is None:
        return key
    raise Refusal(f"a key of the type {type(key).__name__} is nothing that a config holds")


def _of_base(text: str, base: Mapping[str, Any]) -> Any:
    whole = PLACEHOLDER.fullmatch(text)
    if not whole:
        raise Refusal(
            f"{text[:80]!r} uses a value of the base inside a longer text",
            "write an expression with _base_, such as _base_.data_root + 'train/'",
        )
    value: Any = base
    for name in whole[1].split("."):
        if not isinstance(value, Mapping) or name not in value:
            raise Refusal(f"no base has the key {whole[1]}")
        value = value[name]
    return value


def merge(child: Mapping[str, Any], base: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """The base's entries with the child's over them.

    Dictionaries merge, everything else is replaced. `_delete_=True` in the child's dictionary replaces it as well;
    the key itself goes where there is something to delete, and stays where there is nothing, as MMEngine leaves it.

    Raises:
        Refusal: A dictionary of the child stands where the base has something else.
    """
    merged = dict(base)
    for key, value in child.items():
        if not isinstance(value, dict) or key not in base:
            merged[key] = value
            continue
        own = {name: item for name, item in value.items() if name != DELETE}
        if value.get(DELETE, False):
            merged[key] = own
        elif isinstance(base[key], dict):
            merged[key] = merge(own, base[key], f"{place}{key}.")
        else:
            kind = type(base[key]).__name__
            raise Refusal(
                f"{place}{key} is a dictionary here and a {kind} in the base",
                f"write {DELETE}=True into it to replace the base's value",
            )
    return merged


def with_scope(value: Any, scope: str) -> Any:
    """What comes from another package, its outermost nodes with a `type` marked as that package's."""
    if isinstance(value, dict):
        if "type" in value:
            marked = value.get("_scope_") is not None
            return value if marked else {**value, "_scope_": scope}
        return {key: with_scope(item, scope) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(with_scope(item, scope) for item in value)
    return value
