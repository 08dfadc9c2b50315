"""The safetensors format: a length, a JSON header, and the tensors' bytes one after the other."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.errors import CompileError

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = ".safetensors"
LARGEST_HEADER = 100_000_000
"""Bytes: what the format allows."""
_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a file.

    Raises:
        CompileError: It is truncated, no safetensors file, or holds no tensors or some of an unknown type.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= min(LARGEST_HEADER, path.stat().st_size - 8):
                raise ValueError(f"its header is said to have {length} bytes")
            header = json.loads(file.read(length))
            data = bytearray(file.read())
        weights = {name: _tensor(entry, data) for name, entry in header.items() if name != "__metadata__"}
        if not weights:
            raise ValueError("it holds no tensors")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CompileError(
            f"the checkpoint {path.name} cannot be read",
            where=str(path),
            why=f"it is truncated or not a safetensors file ({type(error).__name__}: {error})",
            fix="download or copy it again, and compare its size and SHA-256 with the original's",
        ) from error
    return weights


def _tensor(entry: dict[str, Any], data: bytearray) -> Tensor:
    import torch

    dtype: torch.dtype = getattr(torch, _TYPES[entry["dtype"]])
    start, end = entry["data_offsets"]
    count = math.prod(entry["shape"])
    if not 0 <= start <= end <= len(data) or min(entry["shape"], default=0) < 0:
        raise ValueError(f"a tensor lies at bytes {start} to {end} of {len(data)}")
    if count * dtype.itemsize != end - start:
        raise ValueError(f"a tensor of {count} numbers has {end - start} bytes")
    if not count:
        return torch.empty(entry["shape"], dtype=dtype)
    return torch.frombuffer(data, dtype=dtype, count=count, offset=start).reshape(entry["shape"])
