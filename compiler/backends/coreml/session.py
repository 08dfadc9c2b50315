"""An ML Program, run by Core ML on macOS."""

from __future__ import annotations

from typing import Any

import numpy as np

from compiler.artifact import Engine, Tensors
from compiler.backends.coreml.narrow import narrowed
from compiler.errors import CompileError


class CoreMLSession:
    """An open package.

    Args:
        engine: Its package is data: Core ML compiles it for this machine.
        compute_units: What runs it, such as `cpu_only`.

    Raises:
        CompileError: Core ML cannot open it.
    """

    def __init__(self, engine: Engine, compute_units: str) -> None:
        self._engine = engine
        try:
            import coremltools

            units = coremltools.ComputeUnit[compute_units.upper()]
            self._model: Any = coremltools.models.MLModel(str(engine.path), compute_units=units)
        except Exception as error:  # Core ML's errors come as they are
            raise CompileError(
                f"{engine.file} cannot be opened by Core ML",
                where=str(engine.path),
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
            what = f"{self._engine.file} does not take this input"
            raise CompileError(what, where=shapes, why=_first_line(error)) from error
        return {spec.name: np.asarray(found[spec.name], spec.dtype) for spec in self._engine.outputs}


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
