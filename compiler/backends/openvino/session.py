"""An open engine of OpenVINO."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from compiler.artifact import Engine, Tensors
from compiler.backends.openvino.library import reason
from compiler.errors import CompileError


class OpenVINOSession:
    """A compiled model. Several threads may run it at once: each run takes a request that is idle, or makes one.

    Args:
        compiled: OpenVINO's own.
        engine: Whose inputs and outputs they are.

    Raises:
        CompileError: The engine's sidecar names other inputs or outputs.
    """

    def __init__(self, compiled: Any, engine: Engine) -> None:
        self._compiled = compiled
        self._idle: deque[Any] = deque()
        self._inputs = {spec.name: _port(compiled.inputs, spec.name, engine) for spec in engine.inputs}
        self._outputs = {spec.name: _port(compiled.outputs, spec.name, engine) for spec in engine.outputs}

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs by name, for inputs by name.

        Raises:
            CompileError: OpenVINO refuses the input.
        """
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            given = {self._inputs[name]: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
            found = request.infer(given, share_inputs=True)
        except KeyError as error:
            raise CompileError(
                f"the engine has no input {error}", why=f"it takes {', '.join(self._inputs)}", fix="see engine.json"
            ) from error
        except Exception as error:  # OpenVINO raises RuntimeError and classes of its own, without a base class
            raise CompileError(
                "the engine does not run on this input",
                why=reason(error),
                fix="give the shapes that the bundle was compiled for: see engine.json",
            ) from error
        self._idle.append(request)
        return {name: found[index] for name, index in self._outputs.items()}

    def executed(self) -> Iterator[tuple[str, str, float]]:
        """The name, type and seconds of each layer in the last run, where the model was compiled to count them."""
        for layer in self._idle[-1].profiling_info:
            if layer.status == layer.Status.EXECUTED:
                yield layer.node_name, layer.node_type, layer.real_time.total_seconds()


def _port(ports: Any, name: str, engine: Engine) -> int:
    """Where a tensor is among the inputs or outputs. One that is both has the name of the output, and its node's."""
    for index, port in enumerate(ports):
        if name in port.get_names() or name == port.get_node().get_friendly_name():
            return index
    raise CompileError(
        f"the engine has no {name}",
        where=str(engine.path),
        why=f"it has {', '.join(sorted(each for port in ports for each in port.get_names()))}",
        fix="compile the bundle again",
    )
