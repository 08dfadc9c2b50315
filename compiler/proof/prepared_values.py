"""The numbers in a prepared batch, whichever task's: written down, and put back into another batch of the same form.

A task prepares its input as a dataclass of its own. Its numbers alone are data; its classes come from the task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

ValueT = TypeVar("ValueT")
_KINDS = "biufc"


def numbers_in(value: Any, place: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield every number and array of numbers in a value, by its place in it; texts and the like are left out."""
    if isinstance(value, np.ndarray | np.generic | bool | int | float):
        array = np.asarray(value)
        if array.dtype.kind in _KINDS:
            yield place, array
    for name, child in _children(value):
        yield from numbers_in(child, f"{place}/{name}" if place else name)


def with_numbers(value: ValueT, numbers: Mapping[str, NDArray[Any]]) -> ValueT:
    """A value of the same form with other numbers, as `numbers_in` yields them.

    Raises:
        ValueError: A number is missing, or an array of another type or shape.
    """
    changed: ValueT = _with_numbers(value, numbers, "")
    return changed


def _with_numbers(value: Any, numbers: Mapping[str, NDArray[Any]], place: str) -> Any:
    """What stands in the place of a part of a value."""
    if isinstance(value, np.ndarray | np.generic | bool | int | float):
        return _replaced(value, numbers, place)
    children = {
        name: _with_numbers(child, numbers, f"{place}/{name}" if place else name) for name, child in _children(value)
    }
    kind: Any = type(value)
    if isinstance(value, Mapping):
        return kind(zip(value, children.values(), strict=True))
    if isinstance(value, tuple | list):
        return kind(*children.values()) if hasattr(value, "_fields") else kind(children.values())
    return replace(value, **children) if children else value


def _children(value: Any) -> list[tuple[str, Any]]:
    """The parts of a value, by name or number."""
    if isinstance(value, Mapping):
        return [(str(name), child) for name, child in value.items()]
    if isinstance(value, tuple | list):
        return [(str(index), child) for index, child in enumerate(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in fields(value) if field.init]
    return []


def _replaced(value: Any, numbers: Mapping[str, NDArray[Any]], place: str) -> Any:
    """What stands in the place of a number, or of an array of numbers."""
    like = np.asarray(value)
    if like.dtype.kind not in _KINDS:
        return value
    found = numbers.get(place)
    if found is None or (found.dtype, found.shape) != (like.dtype, like.shape):
        raise ValueError(f"its {place or 'number'} is {'missing' if found is None else 'of another type or shape'}")
    return found if isinstance(value, np.ndarray) else type(value)(found[()])
