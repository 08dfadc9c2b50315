"""What an ONNX file says of its inputs and outputs, as a config has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from compiler.artifact import Dimension
from compiler.config import CompileConfig
from compiler.errors import CompileError, UsageError, nearest
from compiler.graphs import OnnxModelFile
from compiler.tasks.arrays.spec import TYPES, InputSpec

if TYPE_CHECKING:
    import onnx

KEY = "model.inputs"
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*")
_LIKELY_SIDE = {4: 224}
"""Where an example is given, images are this large, and all else is 16 long."""


def input_texts(file: OnnxModelFile, config: CompileConfig) -> dict[str, str]:
    """A file's inputs as `InputSpec.parse` reads them; the first axis is `n` where it counts items.

    Raises:
        UsageError: A length is left open or is another than the file's, or the file takes another batch.
        CompileError: An input is no tensor, or of a type that NumPy does not have.
    """
    given = config.model.inputs
    values = {value.name: value for value in file.inputs}
    for name in given:
        if name not in values:
            raise UsageError(f"the file has no input '{name}'", where=f"{KEY}.{name}", fix=nearest(name, values))
    texts = {name: _text(value, given.get(name), file) for name, value in values.items()}
    lengths = {name: _shape(value)[:1] for name, value in values.items()}
    fixed = {name: first[0] for name, first in lengths.items() if first and isinstance(first[0], int)}
    if config.resolved_shape.dynamic:
        _check_dynamic(texts, fixed)
    else:
        _check_static(fixed, config.batch.usual)
    return texts


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


def _text(value: onnx.ValueInfoProto, given: str | None, file: OnnxModelFile) -> str:
    dtype = _dtype(value, "input", file)
    if dtype not in TYPES:
        raise CompileError(
            f"the input {value.name} is of type {dtype}",
            where=f"{file.path}, {value.name}",
            why=f"inputs are of type {', '.join(TYPES)}",
            fix="export the network with a Cast of its input",
        )
    shape = _shape(value)
    if given is None:
        _check_known(value.name, dtype, shape)
        first, *rest = shape
        items = ["n"] if isinstance(first, str) or first == 1 else [str(first)]
        return f"{'x'.join([*items, *map(str, rest)])}:{dtype}"
    text = given if ":" in given else f"{given}:{dtype}"
    try:
        spec = InputSpec.parse(value.name, text)
    except ValueError as error:
        raise UsageError("the input cannot be read", where=f"{KEY}.{value.name}={given}", why=str(error)) from error
    asked = (1, *spec.shape) if spec.batched else spec.shape
    fits = len(asked) == len(shape) and all(
        not isinstance(own, int) or own == length for own, length in zip(shape, asked, strict=True)
    )
    if not fits or spec.dtype != dtype:
        raise UsageError(
            f"the input '{value.name}' of the file is another one",
            where=f"{KEY}.{value.name}={given}",
            why=f"it is {_described(dtype, shape)}",
            fix=f"for example {_example(value.name, shape)}",
        )
    return text


def _check_known(name: str, dtype: str, shape: tuple[Dimension, ...]) -> None:
    """Refuse an input that has no first axis, or another one without a length."""
    if not shape:
        raise CompileError(
            f"the input {name} has no axes", where=name, why="the first axis counts items", fix="export it with one"
        )
    if any(isinstance(length, str) for length in shape[1:]):
        raise UsageError(
            f"the file leaves lengths of the input '{name}' open",
            where=f"{KEY}.{name}",
            why=f"it is {_described(dtype, shape)}, and only the first axis, the batch, varies in an engine",
            fix=f"say how long they are, for example {_example(name, shape)}",
        )


def _check_dynamic(texts: dict[str, str], fixed: dict[str, int]) -> None:
    counting = [name for name, text in texts.items() if InputSpec.parse(name, text).batched]
    varying = [name for name in counting if name not in fixed]
    for name, length in fixed.items():
        if not varying or length == 1:
            others = f", and that of {varying[0]} varies" if varying else ""
            raise UsageError(
                f"the file takes a batch of {length} only",
                where="shape=dynamic",
                why=f"the first axis of the input {name} is {length} long{others}",
                fix="use shape=static, or export it with a first axis that varies",
            )


def _check_static(fixed: dict[str, int], batch: int) -> None:
    for name, length in fixed.items():
        if length == 1 and batch != 1:
            raise UsageError(
                "the file takes a batch of 1 only",
                where=f"batch.usual={batch}",
                why=f"the first axis of the input {name} is 1 long",
                fix="use batch.usual=1, or export it with a first axis that varies",
            )


def _dtype(value: onnx.ValueInfoProto, what: str, file: OnnxModelFile) -> str:
    import onnx

    kind = value.type.WhichOneof("value")
    found = kind.removesuffix("_type").replace("_", " ") if kind else "nothing"
    if kind == "tensor_type" and value.type.tensor_type.elem_type:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
        if dtype.kind in "fiub":
            return dtype.name
        found = f"a tensor of {onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()}"
    raise CompileError(
        f"the {what} {value.name} is no tensor of numbers",
        where=f"{file.path}, {value.name}",
        why=f"it is {found}",
        fix="export the network without it",
    )


def _shape(value: onnx.ValueInfoProto) -> tuple[Dimension, ...]:
    """The lengths of a value's axes: a name where the file leaves one open."""
    dimensions = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.dim_value > 0 else d.dim_param or "?" for d in dimensions)


def _described(dtype: str, shape: tuple[Dimension, ...]) -> str:
    return f"{dtype}[{', '.join(map(str, shape))}]"


def _example(name: str, shape: tuple[Dimension, ...]) -> str:
    """What to type for an input, with likely lengths where they are open."""
    side = _LIKELY_SIDE.get(len(shape), 16)
    first = [1 if isinstance(length, str) else length for length in shape[:1]]
    rest = [side if isinstance(length, str) else length for length in shape[1:]]
    text = "x".join(map(str, first + rest))
    return f"{KEY}.{name}={text}" if _PLAIN_NAME.fullmatch(name) else f"'++{KEY}={{{name}: {text}}}'"
