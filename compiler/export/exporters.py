"""The two exporters of PyTorch, behind one function."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.artifact import Tensors
from compiler.errors import CompileError

if TYPE_CHECKING:
    import onnx
    from torch import Tensor, nn
    from torch.export import Dim

Rewriting = Callable[[], AbstractContextManager[object]]
"""The context in which function rewriters act."""


@dataclass(frozen=True)
class Axis:
    """A dimension of an input that varies; those of one name vary together.

    Attributes:
        position: Which dimension it is.
        name: What it is called in the Program.
        stride: It is always a multiple of this.
        smallest: Its smallest length.
        largest: Its largest length; None where there is no bound.
    """

    position: int
    name: str
    stride: int = 1
    smallest: int = 1
    largest: int | None = None


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Attributes:
        exporter: `dynamo` or `torchscript`.
        opset: Of the default operator set.
        axes: For each of the network's arguments, in order: its dimensions that vary.
        outputs: Names of its results, in order.
    """

    exporter: str
    opset: int
    axes: Mapping[str, tuple[Axis, ...]]
    outputs: tuple[str, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the network's arguments, in order."""
        return tuple(self.axes)

    @property
    def dynamic(self) -> bool:
        """Whether anything varies."""
        return any(self.axes.values())


def to_onnx(network: nn.Module, example: Tensors, options: ExportOptions, rewriting: Rewriting) -> onnx.ModelProto:
    """Trace a network under its function rewriters, and translate it to ONNX.

    Raises:
        CompileError: The exporter fails.
    """
    import torch

    arguments = tuple(torch.from_numpy(np.ascontiguousarray(example[name])) for name in options.inputs)
    export = _by_dynamo if options.exporter == "dynamo" else _by_torchscript
    try:
        with _quiet():
            return export(network, arguments, options, rewriting)
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

    from compiler.export.operators import TRANSLATIONS, with_constant_weights, with_onnx_nodes
    from rewriters.onnx_functions import with_definitions

    dimensions = {axis.name: _dimension(axis) for axes in options.axes.values() for axis in axes}
    shapes: tuple[Any, ...] = tuple(
        {axis.position: dimensions[axis.name] for axis in axes} for axes in options.axes.values()
    )
    if any(argument.kind is argument.VAR_POSITIONAL for argument in signature(network.forward).parameters.values()):
        shapes = (shapes,)  # *arguments are one argument to torch.export
    with rewriting():
        traced = torch.export.export(
            network, arguments, dynamic_shapes=shapes if options.dynamic else None, strict=False
        )
    program = torch.onnx.export(
        with_onnx_nodes(traced),
        dynamo=True,
        verbose=False,
        opset_version=options.opset,
        input_names=options.inputs,
        output_names=options.outputs,
        custom_translation_table=TRANSLATIONS,
    )
    assert program is not None
    return with_definitions(with_constant_weights(program.model_proto))


def _dimension(axis: Axis) -> Dim:
    from torch.export import Dim

    if axis.stride == 1:
        return Dim(axis.name, max=axis.largest)
    # A network that halves its input several times needs to know that nothing is rounded away, and one that keeps the
    # best of its candidates how many there may be.
    largest = axis.largest and axis.largest // axis.stride
    return axis.stride * Dim(f"{axis.name}_by_{axis.stride}", min=axis.smallest // axis.stride, max=largest)


def _by_torchscript(
    network: nn.Module, arguments: tuple[Tensor, ...], options: ExportOptions, rewriting: Rewriting
) -> onnx.ModelProto:
    import onnx
    import torch

    content = io.BytesIO()
    dynamic_axes = {name: {axis.position: axis.name for axis in axes} for name, axes in options.axes.items()}
    if all(0 in axes for axes in dynamic_axes.values()):
        (batch,) = {axes[0] for axes in dynamic_axes.values()}
        dynamic_axes |= {name: {0: batch} for name in options.outputs}
    with rewriting():
        torch.onnx.export(
            network,
            arguments,
            content,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=options.opset,
            input_names=options.inputs,
            output_names=options.outputs,
            dynamic_axes=dynamic_axes,
        )
    return onnx.load_from_string(content.getvalue())


def _cause(error: BaseException) -> str:
    """Return the first line of the innermost cause: exporters wrap what went wrong several times."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


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
