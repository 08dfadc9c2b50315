"""An ML Program, read back from its package and interpreted: every operation that its file holds, one by one, in torch.

It says what the file computes, and nothing of what a device makes of it. fp16 is computed in fp32, and each result is
rounded to fp16, as a device does that adds up in more bits than it stores.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.artifact import Engine, Tensors
from compiler.backends.coreml.narrow import narrowed, require_range
from compiler.backends.coreml.package import require_own_files
from compiler.errors import CompileError

if TYPE_CHECKING:
    from torch import Tensor

RUN_IT = "compile on macOS, where the engine is run"


class InterpretedPackage:
    """The operations of a package.

    Args:
        package: Data.
        engine: Whose package it is.

    Raises:
        CompileError: It is no ML Program, or holds an operation that is not known here.
    """

    def __init__(self, package: Path, engine: Engine) -> None:
        from compiler.backends.coreml.operations.table import OPERATIONS

        self._package, self._engine = package, engine
        self._function = read_function(package)
        unknown = sorted({one.op_type for one in self._function.operations} - OPERATIONS.keys() - {"const"})
        if unknown:
            raise CompileError(
                f"{', '.join(unknown)} cannot be interpreted",
                where=str(package),
                why="the proof of an ML Program that is not run computes its operations, and does not know these",
                fix=RUN_IT,
            )

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs by name, for inputs by name.

        Raises:
            CompileError: An operation is asked for something that is not known here, or a number does not fit its type.
        """
        import torch

        inputs = {name: _as_tensor(array) for name, array in narrowed(tensors).items()}
        try:
            with torch.no_grad():
                found = interpreted(self._function, inputs)
        except NotImplementedError as error:
            raise CompileError(
                f"{self._package.name} cannot be interpreted",
                where=str(self._package),
                why=f"this is not known here: {error}",
                fix=RUN_IT,
            ) from error
        return {spec.name: found[spec.name].numpy().astype(spec.dtype) for spec in self._engine.outputs}


def read_function(package: Path) -> Any:
    """The function of an ML Program, of coremltools' own classes.

    Raises:
        CompileError: The package cannot be read, or names files outside of it.
    """
    try:
        with quiet():
            require_own_files(package)
            import coremltools
            from coremltools.converters.mil.frontend.milproto.load import load

            model = coremltools.models.MLModel(str(package), skip_model_load=True)
            spec = model.get_spec()
            program = load(spec, specification_version=spec.specificationVersion, file_weights_dir=model.weights_dir)
    except CompileError:
        raise
    except Exception as error:  # coremltools has no class of its own for what can be wrong with a package
        why = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise CompileError(f"{package.name} is no ML Program", where=str(package), why=why) from error
    return program.functions["main"]


def interpreted(function: Any, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The outputs of a function by name, for its inputs by name."""
    from compiler.backends.coreml.operations.table import OPERATIONS

    values: dict[str, Any] = {name: _stored(inputs[name], variable) for name, variable in function.inputs.items()}
    for operation in function.operations:
        if operation.op_type == "const":
            continue
        results = OPERATIONS[operation.op_type](**_arguments(operation, values))
        results = results if isinstance(results, list | tuple) else [results]
        for variable, result in zip(operation.outputs, results, strict=True):
            values[variable.name] = _stored(result, variable)
    return {variable.name: _value(variable, values) for variable in function.outputs}


def _arguments(operation: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """What goes into an operation, by the names of its parameters; what has its usual value is left out."""
    return {
        name: [_value(one, values) for one in given] if isinstance(given, list | tuple) else _value(given, values)
        for name, given in operation.inputs.items()
        if given is not None
    }


def _value(variable: Any, values: Mapping[str, Any]) -> Any:
    """A tensor; or of a constant, the text, the number or the tensor that it is."""
    if variable.name in values:
        return values[variable.name]
    constant = variable.val
    if isinstance(constant, np.ndarray) and constant.dtype.kind in "fiub":
        return _as_tensor(constant)
    return constant.item() if isinstance(constant, np.generic) else constant


def _as_tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """An array as it is computed with: in fp32, or in whole numbers of 64 bits."""
    import torch

    tensor = torch.from_numpy(np.array(array))
    if tensor.is_floating_point():
        return tensor.float()
    return tensor if tensor.dtype == torch.bool else tensor.long()


def _stored(result: Tensor, variable: Any) -> Tensor:
    """A result as a variable holds it.

    Raises:
        CompileError: It is of whole numbers that the variable's type does not hold.
    """
    from coremltools.converters.mil.mil.types import builtin_to_string

    dtype = builtin_to_string(variable.dtype)
    if dtype.startswith(("int", "uint")) and result.numel():
        require_range(variable.name, dtype, int(result.min()), int(result.max()))
    return result.half().float() if dtype == "fp16" else result


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what coremltools says of the versions of other libraries off the screen."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
