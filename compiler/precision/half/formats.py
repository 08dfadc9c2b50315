"""The two 16-bit floating-point formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.errors import UsageError, nearest


@dataclass(frozen=True)
class Format:
    """A 16-bit floating-point format.

    Attributes:
        name: As in deploy names.
        onnx_type: `TensorProto.DataType`.
        largest: The largest finite number.
        smallest: The smallest positive number of full precision; below it every halving loses a bit.
        tolerance: What errors are brought below unless it is said otherwise, in standard deviations of an output.
            Where nothing cancels, networks are mostly within a tenth of it in fp16. The mantissa of bf16 is three bits
            shorter, and the same networks' errors are five to ten times as large.
        opset: The first version of ONNX's operator set in which convolutions take the format.
    """

    name: str
    onnx_type: int
    largest: float
    smallest: float
    tolerance: float
    opset: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy dtype."""
        import onnx

        return onnx.helper.tensor_dtype_to_np_dtype(self.onnx_type)

    @property
    def tensor_type(self) -> str:
        """As ONNX's schemas spell it."""
        return {"fp16": "tensor(float16)", "bf16": "tensor(bfloat16)"}[self.name]

    def round(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """What is left of fp32 values in this format, as fp32."""
        with np.errstate(over="ignore"):
            return values.astype(self.dtype).astype(np.float32)


FP16 = Format("fp16", 10, largest=65504.0, smallest=2.0**-14, tolerance=0.1, opset=13)
BF16 = Format("bf16", 16, largest=(2 - 2.0**-7) * 2.0**127, smallest=2.0**-126, tolerance=1.0, opset=22)
FORMATS = {number_format.name: number_format for number_format in (FP16, BF16)}


def find_format(name: str) -> Format:
    """The format that has this name.

    Raises:
        UsageError: There is no such format.
    """
    if name not in FORMATS:
        raise UsageError(f"there is no half precision '{name}'", fix=nearest(name, FORMATS))
    return FORMATS[name]
