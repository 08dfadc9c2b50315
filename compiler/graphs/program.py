"""A Program's file: read its specs back, write it whole, and strip what only its author's machine means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compiler.artifact import OnnxProgram, TensorSpec
from compiler.errors import CompileError, one_line
from compiler.graphs.opsets import ir_version_for
from compiler.graphs.passes import with_lifted_constants
from compiler.graphs.walk import default_opset, parts_of

if TYPE_CHECKING:
    import onnx

ONNX_FILE = "program.onnx"
LARGEST_SINGLE_FILE = 2 * 1024**3
"""Protocol buffers end here."""
FIND_THE_REWRITER = "run again with rewriters.disable=[...] to find the rewriter that breaks it"


def describe(path: Path) -> OnnxProgram:
    """Read a Program's specs back from its file."""
    import onnx

    return _described(onnx.load(path, load_external_data=False), path)


def _described(model: onnx.ModelProto, path: Path) -> OnnxProgram:
    weights = {initializer.name for initializer in model.graph.initializer}
    return OnnxProgram(
        path=path,
        inputs=tuple(_spec(value) for value in model.graph.input if value.name not in weights),
        outputs=tuple(_spec(value) for value in model.graph.output),
        opset=default_opset(model),
        nodes=len(model.graph.node),
    )


def save_model(model: onnx.ModelProto, path: Path, fix: str = FIND_THE_REWRITER) -> OnnxProgram:
    """Write a model as one file, check it, and return its specs.

    Args:
        model: With all of its weights.
        path: Of the file.
        fix: What to do where it is not valid.

    Raises:
        CompileError: The model is not valid ONNX, or too large for one file.
    """
    import onnx

    if model.ByteSize() > LARGEST_SINGLE_FILE:
        raise CompileError(
            "the Program is larger than 2 GB",
            where=str(path),
            why="one ONNX file cannot hold more",
            fix="compile a smaller variant of the model",
        )
    path.write_bytes(model.SerializeToString())
    try:
        onnx.checker.check_model(path, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise CompileError(
            "the Program is not valid ONNX",
            where=str(path),
            why=one_line(error),
            fix=fix,
        ) from error
    return _described(model, path)


def portable(model: onnx.ModelProto, axes: Mapping[str, Mapping[int, str]]) -> onnx.ModelProto:
    """The model without what exporters leave of their machine, in an IR version that old runtimes open.

    Stack traces and source paths stand in documentation and metadata; a dimension that varies has a made-up name such
    as `s77`; constants are nodes to one exporter and initializers to the other.

    Args:
        model: As exported.
        axes: Names for the dimensions of each input that vary, by position.
    """
    model = cleaned(model)
    _name_dimensions(model, axes)
    return model


def cleaned(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model as `portable` gives it, but with the names of its dimensions as they are."""
    model = with_lifted_constants(model)
    model.ir_version = ir_version_for(model)
    model.ClearField("training_info")
    for part in parts_of(model):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    return model


def _name_dimensions(model: onnx.ModelProto, axes: Mapping[str, Mapping[int, str]]) -> None:
    inputs = {value.name: value.type.tensor_type.shape.dim for value in model.graph.input}
    varying = [
        (inputs[argument][position], name) for argument, names in axes.items() for position, name in names.items()
    ]
    # The first dimension of an output counts items, also where their number comes from an input's values.
    varying += [(dim, "batch") for value in model.graph.output for dim in value.type.tensor_type.shape.dim[:1]]
    names: dict[str, str] = {}
    for dimension, name in varying:
        if dimension.dim_param:
            names.setdefault(dimension.dim_param, name)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param in names:
                dimension.dim_param = names[dimension.dim_param]


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    import onnx

    tensor = value.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in tensor.shape.dim)
    return TensorSpec(value.name, np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name, shape)
