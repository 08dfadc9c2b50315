"""An ML Program, run by Core ML on macOS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from compiler.artifact import Engine, Tensors
from compiler.backends.coreml.narrow import narrowed
from compiler.backends.coreml.package import require_own_files
from compiler.errors import CompileError


class CoreMLSession:
    """An open package.

    Args:
        package: Data, which Core ML compiles for this machine.
        engine: Whose package it is.
        compute_units: What runs it, such as `cpu_only`.

    Raises:
        CompileError: It names files outside of it, or Core ML cannot open it.
    """

    def __init__(self, package: Path, engine: Engine, compute_units: str) -> None:
        self._package, self._engine = package, engine
        try:
            require_own_files(package)
            import coremltools

            units = coremltools.ComputeUnit[compute_units.upper()]
            self._model: Any = coremltools.models.MLModel(str(package), compute_units=units)
        except CompileError:
            raise
        except Exception as error:  # Core ML's errors come as they are
            raise CompileError(
                f"{package.name} cannot be opened by Core ML",
                where=str(package),
                why=_first_line(error),
                fix="backend.target names the oldest system that opens it",
            ) from error

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs by name, for inputs by name."""
        given = narrowed({spec.name: np.ascontiguousarray(tensors[spec.name]) for spec in self._engine.inputs})
        try:
            found = self._model.predict(given)
        except Exception as error:
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in given.items())
            what = f"{self._package.name} does not take this input"
            raise CompileError(what, where=shapes, why=_first_line(error)) from error
        return {spec.name: np.asarray(found[spec.name], spec.dtype) for spec in self._engine.outputs}


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
