"""Network -> Program: export to ONNX, strip what only its author's machine means, and run it at other sizes."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Program, Tensors, TensorSpec
from compiler.backends.onnxruntime import OnnxRuntimeSession
from compiler.errors import CompileError

if TYPE_CHECKING:
    import onnx
    from torch import Tensor, nn

Rewriting = Callable[[], AbstractContextManager[object]]
"""The context in which function rewriters act."""

ONNX_FILE = "program.onnx"
NEWEST_IR_VERSION = 9
"""What ONNX Runtime 1.15, and with it MMDeploy's SDK, opens."""
IR_VERSION_BEFORE_OPSET_19 = 8
LARGEST_SINGLE_FILE = 2 * 1024**3
"""Protocol buffers end here."""
SAME_SHAPE_TOLERANCE = 1e-2
"""In standard deviations: an export that baked a size in is wrong by far more than rounding."""


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Attributes:
        exporter: `dynamo` or `torchscript`.
        opset: Of the default operator set.
        dynamic_batch: Whether the first dimension of every input and output varies.
        inputs: Names of the network's arguments, in order.
        outputs: Names of its results, in order.
    """

    exporter: str
    opset: int
    dynamic_batch: bool
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def export(
    network: nn.Module,
    example: Tensors,
    options: ExportOptions,
    folder: Path,
    rewriting: Rewriting = nullcontext,
) -> Program:
    """Export a network to one ONNX file and check that it was not frozen to its example.

    Args:
        network: In evaluation mode; returns a flat tuple.
        example: Inputs by name, [n, ...]; with a dynamic batch n must be above 1, or the exporter freezes it.
        options: How to export.
        folder: Where the file goes.
        rewriting: Entered around the tracing, so that function rewriters act.

    Raises:
        CompileError: The exporter fails, the file is above 2 GB, another opset came out than was asked for, or the
            Program gives something else than the network at another batch.
    """
    path = folder / ONNX_FILE
    with _quiet():
        model = _exported(network, example, options, rewriting)
    _strip(model)
    model.ir_version = NEWEST_IR_VERSION if options.opset > 18 else IR_VERSION_BEFORE_OPSET_19
    _name_dynamic_batch(model, options)
    save_model(model, path)
    program = describe(path)
    if program.opset != options.opset:
        raise CompileError(
            f"the exporter wrote opset {program.opset}, not {options.opset}",
            where=f"export.opset={options.opset}",
            why=f"the {options.exporter} exporter cannot express this network in the opset that was asked for",
            fix=f"use export.opset={program.opset}, or another export.exporter",
        )
    _check_other_sizes(network, program, example, options, rewriting)
    return program


def describe(path: Path) -> Program:
    """Read a Program's specs back from its file."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    weights = {initializer.name for initializer in model.graph.initializer}
    return Program(
        path=path,
        inputs=tuple(_spec(value) for value in model.graph.input if value.name not in weights),
        outputs=tuple(_spec(value) for value in model.graph.output),
        opset=opset,
        nodes=len(model.graph.node),
    )


def save_model(model: onnx.ModelProto, path: Path) -> None:
    """Write a model as one file and check it.

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
    onnx.save(model, path)
    try:
        onnx.checker.check_model(path, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise CompileError(
            "the Program is not valid ONNX",
            where=str(path),
            why=str(error).strip().splitlines()[0],
            fix="run again with rewriters.disable=[...] to find the rewriter that breaks it",
        ) from error


def _exported(network: nn.Module, example: Tensors, options: ExportOptions, rewriting: Rewriting) -> onnx.ModelProto:
    import torch

    arguments = tuple(torch.from_numpy(np.ascontiguousarray(example[name])) for name in options.inputs)
    try:
        return (_by_dynamo if options.exporter == "dynamo" else _by_torchscript)(network, arguments, options, rewriting)
    except CompileError:
        raise
    except Exception as error:  # the exporters have no common base class
        raise CompileError(
            "the network cannot be exported to ONNX",
            where=f"export.exporter={options.exporter}",
            why=_cause(error),
            fix="try the other exporter, write a rewriter for the operator that is named, or see --debug",
        ) from error


def _by_dynamo(
    network: nn.Module, arguments: tuple[Tensor, ...], options: ExportOptions, rewriting: Rewriting
) -> onnx.ModelProto:
    import torch

    batched = tuple({0: torch.export.Dim("batch")} for _ in arguments)
    with rewriting():
        traced = torch.export.export(
            network, arguments, dynamic_shapes=batched if options.dynamic_batch else None, strict=False
        )
    program = torch.onnx.export(
        traced,
        dynamo=True,
        verbose=False,
        opset_version=options.opset,
        input_names=options.inputs,
        output_names=options.outputs,
    )
    assert program is not None
    return program.model_proto


def _by_torchscript(
    network: nn.Module, arguments: tuple[Tensor, ...], options: ExportOptions, rewriting: Rewriting
) -> onnx.ModelProto:
    import onnx
    import torch

    content = io.BytesIO()
    names = (*options.inputs, *options.outputs) if options.dynamic_batch else ()
    with rewriting():
        torch.onnx.export(
            network,
            arguments,
            content,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=options.opset,
            input_names=options.inputs,
            output_names=options.outputs,
            dynamic_axes={name: {0: "batch"} for name in names},
        )
    return onnx.load_from_string(content.getvalue())


def _cause(error: BaseException) -> str:
    """Return the first line of the innermost cause: exporters wrap what went wrong several times."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _strip(model: onnx.ModelProto) -> None:
    """Remove documentation and metadata: exporters leave stack traces and source paths in them."""
    model.doc_string = ""
    del model.metadata_props[:]
    for graph in _graphs(model.graph):
        graph.doc_string = ""
        del graph.metadata_props[:]
        values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer, *graph.node)
        for part in values:
            part.doc_string = ""
            del part.metadata_props[:]
    for function in model.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        for node in function.node:
            node.doc_string = ""
            del node.metadata_props[:]


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            subgraphs: Iterable[onnx.GraphProto] = (attribute.g, *attribute.graphs)
            for subgraph in subgraphs:
                if subgraph.node:
                    yield from _graphs(subgraph)


def _name_dynamic_batch(model: onnx.ModelProto, options: ExportOptions) -> None:
    """Call the varying dimension `batch` everywhere: exporters invent names such as `s77`."""
    if not options.dynamic_batch:
        return
    first = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if first and dimension.dim_param == first:
                dimension.dim_param = "batch"


def _check_other_sizes(
    network: nn.Module,
    program: Program,
    example: Tensors,
    options: ExportOptions,
    rewriting: Rewriting,
) -> None:
    """Run the Program on other data, and at other batches where they vary: exporters can freeze their example."""
    session = OnnxRuntimeSession(program.path, optimization="disabled")
    size = len(next(iter(example.values())))
    for batch in (1, size + 1) if options.dynamic_batch else (size,):
        tensors = {name: _other_data(tensor, batch) for name, tensor in example.items()}
        with rewriting():
            expected = run_network(network, tensors, options.outputs)
        try:
            found = session.run(tensors)
        except Exception as error:  # ONNX Runtime has no base class for its own exceptions
            raise _frozen(options, size, batch, str(error).strip().splitlines()[0]) from error
        for name, reference in expected.items():
            if found[name].shape != reference.shape:
                raise _frozen(options, size, batch, f"{name} is {found[name].shape}, not {reference.shape}")
            difference = float(np.abs(found[name] - reference).max())
            if not difference <= SAME_SHAPE_TOLERANCE * float(reference.std()):
                raise _frozen(options, size, batch, f"{name} differs by {difference:.3g} from the network's")


def _other_data(tensor: NDArray[Any], batch: int) -> NDArray[Any]:
    return np.resize(np.roll(tensor, 1, axis=-1), (batch, *tensor.shape[1:]))


def _frozen(options: ExportOptions, size: int, batch: int, why: str) -> CompileError:
    return CompileError(
        f"the Program is wrong for a batch of {batch}",
        where=f"export.exporter={options.exporter}",
        why=f"exported with a batch of {size}, then run with {batch}: {why}",
        fix="try the other exporter (export.exporter=torchscript or dynamo), or a static shape",
    )


def run_network(network: nn.Module, tensors: Tensors, outputs: Sequence[str]) -> Tensors:
    """Run a network on numpy arrays, in the order of its arguments, and name its outputs."""
    import torch

    with torch.no_grad():
        results: tuple[Tensor, ...] = network(*(torch.from_numpy(np.array(tensor)) for tensor in tensors.values()))
    if len(results) != len(outputs):
        raise CompileError(
            f"the network has {len(results)} outputs, not {len(outputs)}",
            where="model.processing",
            why=f"the task reads {', '.join(outputs)}",
            fix="use the task that belongs to this network's head",
        )
    return {name: result.numpy() for name, result in zip(outputs, results, strict=True)}


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    import onnx

    tensor = value.type.tensor_type
    shape = tuple(dim.dim_param or dim.dim_value for dim in tensor.shape.dim)
    return TensorSpec(value.name, np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name, shape)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' own chatter away from the user: what matters is checked afterwards."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
