"""Types that Core ML has not, and what stands for them: numbers that do not fit are refused, and never wrapped."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.errors import CompileError

NARROWED = {"int64": "int32", "float64": "float32"}


def narrowed_type(dtype: str) -> str:
    """A type that Core ML has."""
    return NARROWED.get(dtype, dtype)


def narrowed(tensors: Tensors) -> dict[str, NDArray[Any]]:
    """Inputs by name, in types that Core ML has.

    Raises:
        CompileError: A number does not fit.
    """
    return {name: _narrowed(name, array) for name, array in tensors.items()}


def require_range(name: str, dtype: str, least: int, largest: int) -> None:
    """Refuse whole numbers that a type does not hold.

    Raises:
        CompileError: The least or the largest of them does not fit.
    """
    bounds = np.iinfo(dtype)
    if least < bounds.min or largest > bounds.max:
        told = f"its numbers lie between {least} and {largest}"
        raise _refusal(name, dtype, told)


def _narrowed(name: str, array: NDArray[Any]) -> NDArray[Any]:
    dtype = narrowed_type(array.dtype.name)
    if dtype == array.dtype.name:
        return array
    if array.dtype.kind == "i":
        if array.size:
            require_range(name, dtype, int(array.min()), int(array.max()))
        return array.astype(dtype)
    with np.errstate(over="ignore"):
        found = array.astype(dtype)
    if (np.isinf(found) & ~np.isinf(array)).any():
        raise _refusal(name, dtype, f"its largest is {np.abs(array[np.isfinite(array)]).max():g}")
    return found


def _refusal(name: str, dtype: str, why: str) -> CompileError:
    what = f"{name} does not fit {dtype}, which Core ML computes it in"
    return CompileError(what, where=name, why=why, fix="let the network compute with smaller numbers")
