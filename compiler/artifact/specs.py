"""The tensors that go into a Program or an Engine and come out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        """Read what `dataclasses.asdict` wrote."""
        return cls(values["name"], values["dtype"], tuple(values["shape"]))

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}[{', '.join(map(str, self.shape))}]"
