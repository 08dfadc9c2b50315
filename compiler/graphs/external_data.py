"""The weights of an ONNX file that lie in files of their own."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.errors import CompileError
from compiler.graphs.walk import parts_of

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class DataLocation:
    """Where a tensor's numbers lie: a part of another file.

    Attributes:
        tensor: Its name.
        path: Of the ONNX file.
        location: Of the other file, seen from the ONNX file's folder.
        offset: In bytes.
        length: In bytes.
    """

    tensor: str
    path: Path
    location: str
    offset: int
    length: int

    @classmethod
    def of(cls, tensor: onnx.TensorProto, path: Path) -> DataLocation:
        """Read what an ONNX file says of a tensor.

        Raises:
            CompileError: It says no numbers.
        """
        import onnx

        entries = {entry.key: entry.value for entry in tensor.external_data}
        try:
            item = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
            offset = int(entries.get("offset", 0))
            length = int(entries.get("length", math.prod(tensor.dims) * item))
        except (ValueError, KeyError) as error:
            raise invalid(path, f"of {tensor.name}: {error}") from error
        return cls(tensor.name, path, entries.get("location", ""), offset, length)

    @property
    def file(self) -> Path:
        """The other file."""
        return self.path.parent / self.location

    def check(self) -> None:
        """Refuse a file that is missing, too short, or outside of the folder.

        Raises:
            CompileError: It is.
        """
        folder = os.path.realpath(self.path.parent)
        if not self.location or not Path(os.path.realpath(self.file)).is_relative_to(folder):
            raise CompileError(
                "the ONNX file refers to a file outside of its folder",
                where=f"{self.path}, {self.tensor}",
                why=f"its numbers are said to lie in '{self.location}', which nobody needs who saved a model",
                fix="do not trust this file; where it is yours, copy it and its weights into one folder, without links",
            )
        if not self.file.is_file():
            raise CompileError(
                f"the weights of {self.path.name} are missing",
                where=str(self.file),
                why="the ONNX file keeps them in a file of their own",
                fix="put that file beside it, under this name",
            )
        size = self.file.stat().st_size
        if self.offset < 0 or self.length < 0 or self.offset + self.length > size:
            raise CompileError(
                f"the weights of {self.path.name} are truncated",
                where=f"{self.file}, {self.tensor}",
                why=f"it lies at bytes {self.offset} to {self.offset + self.length} of {size}",
                fix="copy the file again",
            )

    def fill(self, tensor: onnx.TensorProto) -> None:
        """Put the numbers into the tensor itself."""
        import onnx

        with self.file.open("rb") as file:
            file.seek(self.offset)
            tensor.raw_data = file.read(self.length)
        tensor.ClearField("external_data")
        tensor.data_location = onnx.TensorProto.DEFAULT


def external_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield the tensors whose numbers lie in another file."""
    import onnx

    for part in parts_of(model):
        tensors = [part] if isinstance(part, onnx.TensorProto) else []
        if isinstance(part, onnx.NodeProto):
            tensors = [tensor for attribute in part.attribute for tensor in (attribute.t, *attribute.tensors)]
        yield from (tensor for tensor in tensors if tensor.data_location == onnx.TensorProto.EXTERNAL)


def invalid(path: Path, why: str) -> CompileError:
    """What is said of a file that is no ONNX file, or a damaged one."""
    return CompileError(
        f"{path.name} is not a valid ONNX file", where=str(path), why=why, fix="export or copy it again"
    )
