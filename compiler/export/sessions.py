"""Programs, open: what the proof runs, as they were written."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from compiler.artifact import OnnxProgram, Program, Tensors, TorchExportProgram, TracedProgram
from compiler.backends.backend import Session
from compiler.errors import CompileError
from compiler.export.frozen import run_network
from compiler.graphs import OnnxRuntimeSession

if TYPE_CHECKING:
    from torch import nn

MARKS = {"torch_export": "archive_format", "torchscript": "constants.pkl"}
"""The entry that an archive of either form has, and one of the other has not."""


def open_program(program: Program) -> Session:
    """A Program, open and not optimised.

    Raises:
        CompileError: What runs it here is not installed, or its file is not what it should be.
    """
    if isinstance(program, TracedProgram):
        return TracedSession(program)
    return OnnxRuntimeSession.as_written(OnnxProgram.of(program).path)


class TracedSession:
    """A traced Program, open in torch.

    Args:
        program: Its archive comes from somebody who is trusted: torch makes of it what it says.

    Raises:
        CompileError: torch is not installed, or the file is no archive of this form, or of other inputs.
    """

    def __init__(self, program: TracedProgram) -> None:
        self._inputs = tuple(spec.name for spec in program.inputs)
        self._outputs = tuple(spec.name for spec in program.outputs)
        _check_mark(program)
        with _refusing(program):
            self._network, inputs = _load(program)
        if inputs != len(self._inputs):
            raise _refusal(program, f"it takes {inputs} inputs, and not {', '.join(self._inputs)}")

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs by name, for inputs by name."""
        return run_network(self._network, {name: tensors[name] for name in self._inputs}, self._outputs)


def _load(program: TracedProgram) -> tuple[nn.Module, int]:
    """What an archive holds, and how many inputs that takes."""
    import torch

    if isinstance(program, TorchExportProgram):
        exported = torch.export.load(program.path)
        return exported.module(), len(exported.graph_signature.user_inputs)
    module = torch.jit.load(program.path, map_location="cpu")  # type: ignore[no-untyped-call]
    return module, len(module.forward.schema.arguments) - 1


def _check_mark(program: TracedProgram) -> None:
    try:
        with ZipFile(program.path) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
    except (OSError, BadZipFile) as error:
        raise _refusal(program, str(error)) from error
    if MARKS[program.IR] not in names:
        raise _refusal(program, f"it has no {MARKS[program.IR]}")


@contextmanager
def _refusing(program: TracedProgram) -> Iterator[None]:
    """Turn torch's many words about an archive into one error."""
    logger = logging.getLogger("torch.export")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImportError as error:
        raise CompileError("torch is not installed", where=str(program.path), fix="pip install torch") from error
    except Exception as error:  # torch has no common base class for what can be wrong with an archive
        raise _refusal(program, str(error).strip().partition("\n")[0]) from error
    finally:
        logger.disabled = before


def _refusal(program: TracedProgram, why: str) -> CompileError:
    return CompileError(
        f"{program.path.name} is not the archive that it should be",
        where=str(program.path),
        why=f"{program.IR} is needed here: {why}",
        fix="export it again, with this version of torch",
    )
