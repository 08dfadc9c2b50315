"""The inputs of a network, by what is in them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors, digest


@dataclass(frozen=True)
class Samples:
    """The inputs of a network, by the digest of their numbers.

    Attributes:
        digest: Of their names, types, shapes and numbers.
        tensors: By name.
    """

    digest: str
    tensors: Tensors = field(compare=False, repr=False)

    @classmethod
    def of(cls, tensors: Tensors) -> Samples:
        """Inputs, with their digest."""
        return cls(digest([(name, array_digest(tensor)) for name, tensor in tensors.items()]), tensors)


def array_digest(array: NDArray[Any]) -> str:
    """The SHA-256 of an array's type, shape and numbers."""
    sha = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
