"""The dimensions of a value in an ONNX file: a length, a name, or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.artifact import Dimension

if TYPE_CHECKING:
    import onnx

_NO_NAMES = ("?", "-1", "none", "unk", "unknown")
"""What exporters write for a length that they do not know: two axes that are called so are not equally long for it."""


def dimension_of(dimension: onnx.TensorShapeProto.Dimension) -> Dimension | None:
    """A length, or the name of one that is open; None for one that has no name."""
    if dimension.HasField("dim_value") and dimension.dim_value >= 0:
        return dimension.dim_value
    name = dimension.dim_param.strip()
    return None if not name or name.lower() in _NO_NAMES or name.isdigit() else dimension.dim_param


def shape_of(value: onnx.ValueInfoProto) -> tuple[Dimension | None, ...] | None:
    """The dimensions of a tensor; None where not even their number is known."""
    tensor = value.type.tensor_type
    return tuple(map(dimension_of, tensor.shape.dim)) if tensor.HasField("shape") else None
