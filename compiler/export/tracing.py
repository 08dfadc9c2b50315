"""What both kinds of Program begin with: a network that torch traces, under its function rewriters."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from compiler.artifact import Tensors
from compiler.errors import CompileError
from compiler.export.options import Axis, ExportOptions
from rewriters import RewriterCodeError
from rewriters.failures import causes

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import Dim, ExportedProgram

EXPORTER = logging.getLogger("compiler.exporter")
"""Below the logger of the run, and with a handler of its own, so that without a run nothing is printed."""
EXPORTER.addHandler(logging.NullHandler())
FORWARDED = "forwarded"
"""The attribute of a record that has been written to the log of the run."""


def traced_arguments(example: Tensors, options: ExportOptions) -> tuple[Tensor, ...]:
    """An example as the network's arguments, in their order."""
    import torch

    # Copies: a new axis of NumPy's has a stride of zero, which a trace would hold every input to.
    return tuple(torch.from_numpy(np.array(example[name], order="C")) for name in options.inputs)


def exported(network: nn.Module, arguments: tuple[Tensor, ...], options: ExportOptions) -> ExportedProgram:
    """A network, traced by `torch.export` with the dimensions that vary."""
    import torch

    dimensions = {axis.name: _dimension(axis) for axes in options.axes.values() for axis in axes}
    shapes: tuple[Any, ...] = tuple(
        {axis.position: dimensions[axis.name] for axis in axes} for axes in options.axes.values()
    )
    if any(argument.kind is argument.VAR_POSITIONAL for argument in signature(network.forward).parameters.values()):
        shapes = (shapes,)  # *arguments are one argument to torch.export
    return torch.export.export(network, arguments, dynamic_shapes=shapes if options.dynamic else None, strict=False)


def _dimension(axis: Axis) -> Dim:
    from torch.export import Dim

    if axis.stride == 1:
        return Dim(axis.name, min=axis.smallest if axis.smallest > 1 else None, max=axis.largest)
    # A network that halves its input several times needs to know that nothing is rounded away, and one that keeps the
    # best of its candidates how many there may be.
    largest = axis.largest and axis.largest // axis.stride
    return axis.stride * Dim(f"{axis.name}_by_{axis.stride}", min=axis.smallest // axis.stride, max=largest)


@contextmanager
def exporting(to: str, exporter: str) -> Iterator[None]:
    """Keep an exporter off the screen, since what matters is checked afterwards, and turn its failure into one error.

    Args:
        to: What the network is exported to.
        exporter: `dynamo` or `torchscript`.

    Raises:
        RewriterCodeError: A rewriter fails meanwhile, however the exporter wraps that.
        CompileError: The exporter fails.
    """
    try:
        with _quiet():
            yield
    except Exception as error:  # the exporters have no common base class
        for failure in causes(error):
            if isinstance(failure, RewriterCodeError):
                raise failure from failure.__cause__
        raise CompileError(
            f"the network cannot be exported to {to}",
            where=f"export.exporter={exporter}",
            why=_cause(error),
            fix="try the other exporter, write a rewriter for the operator that is named, or see --debug",
        ) from error


def _cause(error: BaseException) -> str:
    """The first line of the innermost cause: exporters wrap what went wrong several times."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let what an exporter says go to the log of the run alone."""
    handlers = logging.getLogger("torch.onnx").handlers[:]  # torch's own, which write to the terminal
    for handler in handlers:
        handler.addFilter(_logged)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _log_warning
            yield
    finally:
        for handler in handlers:
            handler.removeFilter(_logged)


def _logged(record: logging.LogRecord) -> bool:
    """Write a record to the log of the run; where it came from, it goes no further."""
    if hasattr(record, FORWARDED) or record.name == EXPORTER.name:  # a handler that hears both, such as a test's
        return True
    setattr(record, FORWARDED, True)
    EXPORTER.handle(record)
    return False


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    EXPORTER.warning("%s (%s:%d): %s", category.__name__, filename, lineno, message)
