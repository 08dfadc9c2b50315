"""What an ONNX file says of its inputs and outputs, as a config has it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from compiler.artifact import Dimension
from compiler.artifact.specs import TYPES
from compiler.errors import CompileError, UsageError
from compiler.graphs import OnnxModelFile
from compiler.graphs.dimensions import shape_of
from compiler.tasks.arrays.spec import SCALAR, InputSpec

if TYPE_CHECKING:
    import onnx

KEY = "model.inputs"
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*")
_LIKELY_SIDE = {4: 224}
"""Where an example is given, images are this large, and all else is 16 long."""


@dataclass(frozen=True)
class FileInput:
    """An input as a file has it, and what the user says of it.

    Attributes:
        name: Of the input.
        dtype: One of `TYPES`.
        shape: A number where a length is fixed, else the name of an axis: one without a name has one made for it.
        unnamed: The names that were made.
        given: What the user says; None where nothing.
        numbers: The type, and what numbers it holds, as the user wrote them.
    """

    name: str
    dtype: str
    shape: tuple[Dimension, ...]
    unnamed: frozenset[str]
    given: InputSpec | None
    numbers: str

    @property
    def described(self) -> str:
        """The type and the shape, as the file has them."""
        return f"{self.dtype}[{', '.join('?' if axis in self.unnamed else str(axis) for axis in self.shape)}]"

    @property
    def example(self) -> str:
        """What to type for it, with likely lengths where they are open."""
        shape = self.shape
        side = _LIKELY_SIDE.get(len(shape), 16)
        first = [1 if isinstance(length, str) else length for length in shape[:1]]
        rest = [side if isinstance(length, str) else length for length in shape[1:]]
        text = "x".join(map(str, first + rest)) or SCALAR
        return f"{KEY}.{self.name}={text}" if _PLAIN_NAME.fullmatch(self.name) else f"'++{KEY}={{{self.name}: {text}}}'"

    def refuse(self, given: str) -> UsageError:
        """The error of saying something else of it than the file does."""
        return UsageError(
            f"the input '{self.name}' of the file is another one",
            where=f"{KEY}.{self.name}={given}",
            why=f"it is {self.described}",
            fix=f"for example {self.example}",
        )


def read_inputs(file: OnnxModelFile, given: dict[str, str]) -> list[FileInput]:
    """A file's inputs, with what the user says of them.

    Raises:
        UsageError: What the user says cannot be read.
        CompileError: An input is no tensor, or of a type that NumPy does not have.
    """
    names = {str(axis) for value in file.inputs for axis in shape_of(value) or ()}
    inputs = []
    for value in file.inputs:
        dtype = _dtype(value, "input", file)
        shape, unnamed = _named(value, names, file)
        text = given.get(value.name)
        spec = None if text is None else _parsed(value.name, text, dtype)
        numbers = (text or "").partition(":")[2] or dtype
        inputs.append(FileInput(value.name, dtype, shape, unnamed, spec, numbers))
    return inputs


def check_outputs(file: OnnxModelFile) -> None:
    """Refuse outputs that are no tensors of numbers, or are called like another input or output.

    Raises:
        CompileError: There is one.
    """
    names = [value.name for value in (*file.inputs, *file.outputs)]
    for value in file.outputs:
        _dtype(value, "output", file)
        if names.count(value.name) > 1:
            raise CompileError(
                f"two inputs or outputs are called {value.name}",
                where=f"{file.path}, {value.name}",
                why="arrays are told apart by their names",
                fix="export it again with other names, and what is passed through left out",
            )


def _named(
    value: onnx.ValueInfoProto, taken: set[str], file: OnnxModelFile
) -> tuple[tuple[Dimension, ...], frozenset[str]]:
    """The shape of an input, with a name of its own for each axis that has none, and those names."""
    shape = shape_of(value)
    if shape is None:
        raise CompileError(
            f"the file does not say how many axes the input {value.name} has",
            where=f"{file.path}, {value.name}",
            why="ONNX asks for the shape of every input, of which lengths may be left open",
            fix="export it again with the shapes of its inputs",
        )
    made: dict[int, str] = {}
    for position, axis in enumerate(shape):
        if axis is None:
            name = f"{value.name}_{position}"
            while name in taken:
                name += "_"
            taken.add(name)
            made[position] = name
    axes = tuple(made[position] if axis is None else axis for position, axis in enumerate(shape))
    return axes, frozenset(made.values())


def _parsed(name: str, text: str, dtype: str) -> InputSpec:
    try:
        return InputSpec.parse(name, text if ":" in text else f"{text}:{dtype}")
    except ValueError as error:
        raise UsageError("the input cannot be read", where=f"{KEY}.{name}={text}", why=str(error)) from error


def _dtype(value: onnx.ValueInfoProto, what: str, file: OnnxModelFile) -> str:
    import onnx

    kind = value.type.WhichOneof("value")
    found = kind.removesuffix("_type").replace("_", " ") if kind else "nothing"
    if kind == "tensor_type" and value.type.tensor_type.elem_type:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)).name
        if dtype in TYPES:
            return dtype
        found = f"a tensor of {onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()}"
    raise CompileError(
        f"the {what} {value.name} is no tensor of numbers that NumPy has",
        where=f"{file.path}, {value.name}",
        why=f"it is {found}; arrays are of type {', '.join(TYPES)}",
        fix=f"export the network without it, or with a Cast of its {what}",
    )
