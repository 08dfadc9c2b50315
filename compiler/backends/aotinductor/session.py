"""A package of AOTInductor, open."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from compiler.artifact import Tensors, TensorSpec
from compiler.errors import CompileError

CHECK_INPUTS = "AOTI_RUNTIME_CHECK_INPUTS"
"""The variable that lets a package look at the shapes that it is given: else it reads beyond a smaller input."""
LIBRARIES = (".so", ".pyd", ".dll", ".dylib")


class PackageSession:
    """An open package: native code, which runs in this process.

    Args:
        path: Of the package, of somebody who is trusted.
        inputs: What goes in, in order.
        outputs: What comes out, in order.

    Raises:
        CompileError: It is no package of AOTInductor, or one that PyTorch cannot load here.
    """

    def __init__(self, path: Path, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
        self._path, self._inputs, self._outputs = path, inputs, outputs
        _check_package(path)
        os.environ[CHECK_INPUTS] = "1"
        self._package = _loaded(path)

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs by name, for inputs by name."""
        import torch

        arguments = [torch.from_numpy(np.array(tensors[spec.name], spec.dtype)) for spec in self._inputs]
        try:
            results = self._package(*arguments)
        except RuntimeError as error:
            raise CompileError(
                f"{self._path.name} does not take this input",
                where=", ".join(f"{name} {list(array.shape)}" for name, array in tensors.items()),
                why=_last_line(error),
                fix=f"it takes {', '.join(map(str, self._inputs))}",
            ) from error
        return {spec.name: result.numpy() for spec, result in zip(self._outputs, results, strict=True)}


def _loaded(path: Path) -> Any:
    from torch import _inductor

    try:
        return _inductor.aoti_load_package(str(path))
    except Exception as error:  # torch has no common base class for what can be wrong with a package
        raise _refusal(path, _last_line(error)) from error


def _check_package(path: Path) -> None:
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, BadZipFile) as error:
        raise _refusal(path, str(error)) from error
    if not any(name.endswith(LIBRARIES) for name in names):
        raise _refusal(path, "it holds no native code")


def _refusal(path: Path, why: str) -> CompileError:
    return CompileError(
        f"{path.name} is not a package that can be opened here",
        where=str(path),
        why=f"AOTInductor's packages are native code for a processor, a system and a version of PyTorch: {why}",
        fix="compile it again, on this machine",
    )


def _last_line(error: Exception) -> str:
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
