"""The tensors that go into a Program or an Engine and come out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
TYPES = ("float32", "float64", "float16", *INTEGERS, "bool")
"""NumPy's names of what arrays are compiled for."""
COMPLEX = ("complex64", "complex128")
"""What a network may give beside those."""

Dimension = int | str

Tensors: TypeAlias = "Mapping[str, NDArray[Any]]"  # a text: the help of a verb needs no NumPy
"""Network inputs or outputs, by name."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a Program or an Engine.

    Attributes:
        name: As in the file.
        dtype: A numpy dtype name, for example `float32`.
        shape: A number where the size is fixed, a name where it varies.
    """

    name: str
    dtype: str
    shape: tuple[Dimension, ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TensorSpec:
        """Read what `dataclasses.asdict` wrote.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        name, dtype = values["name"], values["dtype"]
        if not isinstance(name, str):
            raise ValueError(f"a tensor's name is a text, not {name!r:.60}")
        if dtype not in (*TYPES, *COMPLEX):
            raise ValueError(f"{name:.60} is of type {dtype!r:.60}, which is none of {', '.join(TYPES)}")
        return cls(name, dtype, tuple(map(_dimension, values["shape"])))

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}[{', '.join(map(str, self.shape))}]"


def _dimension(value: Any) -> Dimension:
    """A number of elements, or the name of one that varies."""
    if isinstance(value, str) or (type(value) is int and value >= 0):
        return value
    raise ValueError(f"a dimension is a name or a number that is not negative, not {value!r:.60}")
