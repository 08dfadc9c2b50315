"""ONNX files that somebody else exported: read without trusting them, and put into the form of a Program."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.artifact import Dimension, InputFile, OnnxProgram, bytes_digest, digest, read_given, reading, require_file
from compiler.errors import CompileError, UsageError
from compiler.graphs.constants import weights_of
from compiler.graphs.dimensions import shape_of
from compiler.graphs.external_data import DataLocation, external_tensors, invalid
from compiler.graphs.node_count import check_node_count
from compiler.graphs.opsets import runnable
from compiler.graphs.program import LARGEST_SINGLE_FILE, cleaned, save_model
from compiler.graphs.walk import default_opset, is_standard, parts_of

if TYPE_CHECKING:
    import onnx

OLDEST_OPSET = 11
"""Before it, operators took as attributes what graph rewriters look for among their inputs."""
EXPORT_AGAIN = "export or copy it again"
WHERE = "model.file"
LARGEST_LOOKED_AT = 2**63 - 1
"""Bytes: what is too large for an ONNX file is told apart from what is no file."""


@dataclass(frozen=True, eq=False)
class OnnxModelFile:
    """An ONNX file whose parts are all there.

    Attributes:
        file: It, by the very content that the model is of.
        model: What is in it, without the weights that lie in other files.
    """

    file: InputFile
    model: onnx.ModelProto

    @property
    def path(self) -> Path:
        """Of the file."""
        return self.file.path

    @cached_property
    def weights_files(self) -> Mapping[str, InputFile]:
        """The files that hold its weights, as they were when this was asked first."""
        locations = {DataLocation.of(tensor, self.path).location for tensor in external_tensors(self.model)}
        return {location: InputFile.of(self.path.parent / location) for location in sorted(locations)}

    @property
    def digest(self) -> str:
        """The digest of the file and of those that hold its weights, wherever they lie."""
        return digest([self.file.digest, {location: file.digest for location, file in self.weights_files.items()}])

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Around what reads these files again: see `InputFile`."""
        with ExitStack() as stack:
            for file in (self.file, *self.weights_files.values()):
                stack.enter_context(file.unchanged())
            yield

    @property
    def inputs(self) -> tuple[onnx.ValueInfoProto, ...]:
        """What goes in; old files list their weights there too."""
        weights = _weights(self.model)
        return tuple(value for value in self.model.graph.input if value.name not in weights)

    @property
    def outputs(self) -> tuple[onnx.ValueInfoProto, ...]:
        """What comes out."""
        return tuple(self.model.graph.output)

    @property
    def opset(self) -> int:
        """Of the default operator set."""
        return default_opset(self.model)

    @property
    def parameters(self) -> int:
        """How many numbers its weights have, those included that are nodes."""
        return sum(math.prod(weight.dims) for weight in weights_of(self.model))

    def gathered(self) -> onnx.ModelProto:
        """The model with all of its weights, in a form that the installed ONNX Runtime reads.

        Raises:
            CompileError: It is not valid ONNX, needs a newer ONNX Runtime, or a file of it changed.
        """
        import onnx

        with self.unchanged(), reading(self.path, f"{self.path.name} is not a valid ONNX file", fix=EXPORT_AGAIN):
            model = onnx.ModelProto()
            model.CopyFrom(self.model)
            for tensor in external_tensors(model):
                DataLocation.of(tensor, self.path).fill(tensor)
            onnx.checker.check_model(model)
            return runnable(model, str(self.path))


def read_onnx_file(path: Path) -> OnnxModelFile:
    """Read an ONNX file, and check that everything it refers to is there, but not yet whether it is valid.

    Raises:
        UsageError: No file is given.
        CompileError: It is missing, cannot be read, is too large, too old or too new, has no inputs or outputs or has
            sparse weights, or refers to weights that are missing or lie outside of its folder.
    """
    if path == Path():
        raise UsageError("the ONNX file is not given", where=WHERE, fix="add model.file=<file>.onnx")
    what, where = f"the ONNX file {path}", f"{WHERE}={path}"
    _check_size(path, require_file(path, what, where=where, largest=LARGEST_LOOKED_AT))
    content = read_given(path, what, where=where)
    with reading(path, f"{path.name} is not a valid ONNX file", fix=EXPORT_AGAIN):
        return _checked(path, content)


def _checked(path: Path, content: bytes) -> OnnxModelFile:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise invalid(path, f"it is truncated or no ONNX file ({error})") from error
    _check_versions(model, path)
    file = OnnxModelFile(InputFile(bytes_digest(content), path), model)
    for name, values in (("inputs", file.inputs), ("outputs", file.outputs)):
        if not values:
            raise CompileError(f"the ONNX file has no {name}", where=str(path), fix="export it again with some")
    check_node_count(model, path)
    if any(map(_is_sparse, parts_of(model))):
        raise CompileError("the ONNX file has sparse weights", where=str(path), fix="export it again with dense ones")
    locations = [DataLocation.of(tensor, path) for tensor in external_tensors(model)]
    _check_size(path, len(content) + sum(location.length for location in locations))
    for location in locations:
        location.check()
    return file


def take_over(model: onnx.ModelProto, shapes: Mapping[str, tuple[Dimension, ...]], path: Path) -> OnnxProgram:
    """Write a model as a Program: without metadata, its inputs in these shapes, and the others worked out anew.

    Args:
        model: With all of its weights.
        shapes: Of every input: numbers, and names for what varies.
        path: Of the Program.

    Raises:
        CompileError: A dimension would have two lengths, or the model is not valid ONNX in these shapes.
    """
    model = cleaned(model)
    weights = _weights(model)
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    renamed = _with_input_shapes(model, shapes)
    varying = {length for shape in shapes.values() for length in shape if isinstance(length, str)}
    return save_model(_inferred(model, renamed, varying), path, fix=EXPORT_AGAIN)


def _with_input_shapes(model: onnx.ModelProto, shapes: Mapping[str, tuple[Dimension, ...]]) -> dict[str, Dimension]:
    """Set the shapes of a model's inputs, and return what became of the names of their dimensions."""
    renamed: dict[str, Dimension] = {}
    for value in model.graph.input:
        shape, own = value.type.tensor_type.shape, shape_of(value)
        for name, length in zip(own or (), shapes[value.name], strict=own is not None):
            if isinstance(name, str) and renamed.setdefault(name, length) != length:
                raise UsageError(
                    f"the dimension {name} has two lengths",
                    where=f"model.inputs.{value.name}",
                    why=f"it is {renamed[name]} and {length}",
                    fix="give the same length wherever the file has the same name",
                )
        del shape.dim[:]
        shape.SetInParent()
        for length in shapes[value.name]:
            _set(shape.dim.add(), length)
    return renamed


def _inferred(model: onnx.ModelProto, renamed: Mapping[str, Dimension], varying: set[str]) -> onnx.ModelProto:
    """The model with the shapes that follow from its inputs'; exporters' own may not be true of all inputs.

    What does not follow stays as it was declared for the outputs, unless it is called like what varies and is not.
    """
    import onnx

    declared: list[tuple[Dimension | None, ...]] = []
    for value in model.graph.output:
        declared.append(tuple(_declared(axis, renamed, varying) for axis in shape_of(value) or ()))
        for dimension in value.type.tensor_type.shape.dim:
            dimension.Clear()
    del model.graph.value_info[:]
    inferred: onnx.ModelProto = onnx.shape_inference.infer_shapes(model, data_prop=True)
    for value, before in zip(inferred.graph.output, declared, strict=True):
        dimensions = value.type.tensor_type.shape.dim
        for dimension, length in zip(dimensions, before or (None,) * len(dimensions), strict=True):
            if length is not None and not dimension.HasField("dim_value") and dimension.dim_param not in varying:
                _set(dimension, length)
    return inferred


def _declared(axis: Dimension | None, renamed: Mapping[str, Dimension], varying: set[str]) -> Dimension | None:
    """What an output's dimension is called or how long it is, once the inputs' have other names."""
    if not isinstance(axis, str):
        return axis
    return renamed.get(axis, None if axis in varying else axis)


def _set(dimension: onnx.TensorShapeProto.Dimension, length: Dimension) -> None:
    dimension.Clear()
    if isinstance(length, int):
        dimension.dim_value = length
    else:
        dimension.dim_param = length


def _is_sparse(part: Any) -> bool:
    """Tell graphs and nodes with sparse weights."""
    import onnx

    if isinstance(part, onnx.NodeProto):
        return any(attribute.HasField("sparse_tensor") or attribute.sparse_tensors for attribute in part.attribute)
    return isinstance(part, onnx.GraphProto) and bool(part.sparse_initializer)


def _weights(model: onnx.ModelProto) -> set[str]:
    return {initializer.name for initializer in model.graph.initializer}


def _check_size(path: Path, size: int) -> None:
    if size > LARGEST_SINGLE_FILE:
        raise CompileError(
            "the ONNX file is larger than 2 GB",
            where=str(path),
            why=f"with its weights it has {size / 1e9:.1f} GB, and one ONNX file cannot hold more than 2",
            fix="compile a smaller variant of the model",
        )


def _check_versions(model: onnx.ModelProto, path: Path) -> None:
    import onnx

    if not any(is_standard(entry.domain) for entry in model.opset_import):
        raise invalid(path, "it names no version of the standard operators")
    opset, newest = default_opset(model), onnx.defs.onnx_opset_version()
    for what, version, oldest, latest in (
        ("opset", opset, OLDEST_OPSET, newest),
        ("IR version", model.ir_version, 3, onnx.IR_VERSION),
    ):
        if not oldest <= version <= latest:
            raise CompileError(
                f"the ONNX file is too {'old' if version < oldest else 'new'}",
                where=str(path),
                why=f"its {what} is {version}, and {oldest} to {latest} can be read here",
                fix="export it again in a newer opset, or convert it with onnx.version_converter"
                if version < oldest
                else "install a newer onnx, or export it again in an older opset",
            )
