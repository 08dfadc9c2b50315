"""The metadata of a checkpoint as plain data: numbers, texts, lists and dictionaries, which anybody reads again.

NumPy's arrays become lists. NumPy is not called to unpickle them: stand-ins keep what the pickle says of an array, and
its bytes are looked at only where there are as many as its shape and type call for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from compiler.checkpoint.inert_metadata import allowed

LARGEST_TEXT = 1 << 20
"""Characters of a text, and entries of all lists and dictionaries together; metadata has far fewer."""
DEEPEST = 32
MOST_AXES = 8
NOTHING = object()
"""What stands for a value that is no plain data."""
_NUMBERS = re.compile(r"[<>]?(?:b1|[iu][1248]|f[248])")
_ARRAY_MODULES = ("numpy._core.multiarray", "numpy.core.multiarray")


class _Type:
    """Stands for `numpy.dtype`."""

    def __init__(self, name: object = "", *_: object) -> None:
        self.name, self.order = name, ""

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else ""
        self.order = order if order in ("<", ">") else ""

    @property
    def numbers(self) -> np.dtype[Any] | None:
        """NumPy's type, of numbers; None of anything else."""
        name = f"{self.order}{self.name}" if isinstance(self.name, str) else ""
        return np.dtype(name) if _NUMBERS.fullmatch(name) else None


class _Array:
    """Stands for what makes an array, and keeps its state."""

    def __init__(self, *_: object) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    @property
    def plain(self) -> object:
        """Its numbers as nested lists; `NOTHING` where they are not all there."""
        match self.state:
            case (_, tuple(shape), _Type(numbers=np.dtype() as kind), bool(is_fortran), bytes(content)):
                if all(type(side) is int and side >= 0 for side in shape):
                    return _numbers(content, kind, shape, "F" if is_fortran else "C")
        return NOTHING


class _Scalar:
    """Stands for what makes a number of NumPy's."""

    def __init__(self, kind: object = None, content: object = None, *_: object) -> None:
        self.kind, self.content = kind, content

    def __setstate__(self, state: object) -> None:
        pass

    @property
    def plain(self) -> object:
        """The number; `NOTHING` where it is none."""
        match self.kind, self.content:
            case _Type(numbers=np.dtype() as kind), bytes(content):
                return _numbers(content, kind, (), "C")
        return NOTHING


def standing_in() -> list[tuple[Any, str]]:
    """What a checkpoint may name, as `torch.serialization.safe_globals` takes it: arrays keep their numbers."""
    kept = {f"{module}.{name}": one for module in _ARRAY_MODULES for name, one in _MAKERS.items()}
    kept["numpy.dtype"] = _Type
    return [(kept.get(name, stand_in), name) for stand_in, name in allowed()]


_MAKERS = {"_reconstruct": _Array, "scalar": _Scalar}


def plain(value: object) -> Any:
    """A value as plain data, without what in it is none; `NOTHING` where all of it is none."""
    return _Walk().plain(value, DEEPEST)


class _Walk:
    """One walk over metadata, which is not longer than metadata is."""

    def __init__(self) -> None:
        self._left = LARGEST_TEXT

    def plain(self, value: object, depth: int) -> Any:
        self._left -= 1
        if depth < 0 or self._left < 0:
            return NOTHING
        match value:
            case _Array() | _Scalar():
                return value.plain
            case Mapping():
                pairs = ((key, self.plain(item, depth - 1)) for key, item in value.items() if type(key) in (str, int))
                return {key: item for key, item in pairs if item is not NOTHING}
            case list() | tuple() | set() | frozenset():
                kept = [one for one in (self.plain(item, depth - 1) for item in value) if one is not NOTHING]
                return tuple(kept) if isinstance(value, tuple) else kept
        return value if _is_plain(value) else NOTHING


def _is_plain(value: object) -> bool:
    """Whether a value is a number, a text of bearable length or nothing, and of no class derived from those."""
    return type(value) in (type(None), bool, int, float) or (type(value) is str and len(value) <= LARGEST_TEXT)


def _numbers(content: bytes, kind: np.dtype[Any], shape: tuple[int, ...], order: Any) -> object:
    if len(shape) > MOST_AXES or not 0 < len(content) == prod(shape) * kind.itemsize <= LARGEST_TEXT:
        return NOTHING
    return np.frombuffer(content, kind).reshape(shape, order=order).tolist()
