"""What surrounds an engine, as a model of Triton's Python backend; the engine is another model of the same server.

Triton imports `model.py`, which `repository` writes and which imports this. It needs this package there, and neither
torch nor what runs the engine.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from compiler.artifact import Engine, Tensors, finite
from compiler.backends import backend_of
from compiler.config.instantiate import instantiate
from compiler.config.limits import Limits
from compiler.errors import CompileError
from compiler.runtime.bundle import Predictor
from compiler.runtime.contents import read_config, task_of
from compiler.serving.servers import TRITON_BACKENDS, TritonBackend

LIMIT = "limits."
"""In front of the names of settings that are fields of `Limits`."""


@dataclass(frozen=True)
class EngineModel:
    """An engine that is another model of the server: a session.

    Attributes:
        utils: Triton's `triton_python_backend_utils`.
        name: Of the model.
        engine: Its specs.
        served: What runs it.
    """

    utils: Any
    name: str
    engine: Engine
    served: TritonBackend

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs by name, for inputs by name.

        Raises:
            CompileError: The server cannot run the model.
        """
        utils, inputs, outputs = self.utils, self.engine.inputs, self.engine.outputs
        names = [self.served.tensor_name(outputs, index) for index in range(len(outputs))]
        request = utils.InferenceRequest(
            model_name=self.name,
            requested_output_names=names,
            inputs=[
                utils.Tensor(self.served.tensor_name(inputs, index), np.ascontiguousarray(tensors[spec.name]))
                for index, spec in enumerate(inputs)
            ],
            preferred_memory=utils.PreferredMemory(utils.TRITONSERVER_MEMORY_CPU, 0),
        )
        response = request.exec()
        if response.has_error():
            raise CompileError(f"the model {self.name} failed", where=self.name, why=response.error().message())
        found = (utils.get_output_tensor_by_name(response, name).as_numpy() for name in names)
        return {spec.name: output for spec, output in zip(outputs, found, strict=True)}


class BundleModel:
    """A model of Triton's Python backend: the file of an input goes in, the results come out as JSON.

    Attributes:
        FOLDER: Where the config and the sidecar of the bundle lie.
    """

    FOLDER: ClassVar[Path]

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read what surrounds the engine; Triton calls it once."""
        import triton_python_backend_utils as utils  # of the server

        parameters = json.loads(args["model_config"])["parameters"]
        settings = {name: value.get("string_value", "") for name, value in parameters.items()}
        self._utils = utils
        self._predictor = predictor_around(utils, self.FOLDER, settings)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """A response for each request; one that fails loses no other."""
        return [self._response(request) for request in requests]

    def _response(self, request: Any) -> Any:
        utils = self._utils
        try:
            found = json.dumps(finite([result.to_dict() for result in self._results(request)]), allow_nan=False)
        except CompileError as error:
            told = ": ".join(filter(None, (error.what, error.why)))
            return utils.InferenceResponse(output_tensors=[], error=utils.TritonError(told))
        return utils.InferenceResponse([utils.Tensor("results", np.array([found.encode()], np.object_))])

    def _results(self, request: Any) -> list[Any]:
        utils, kind = self._utils, self._predictor.task.looks_at
        content = utils.get_input_tensor_by_name(request, kind.name).as_numpy()
        boxes = utils.get_input_tensor_by_name(request, "boxes")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"input{kind.suffixes[0]}"
            file.write_bytes(content.tobytes())
            return self._predictor(file, None if boxes is None else boxes.as_numpy())


def predictor_around(utils: Any, folder: Path, settings: Mapping[str, str]) -> Predictor:
    """What surrounds an engine that is another model of the server.

    Args:
        utils: Triton's `triton_python_backend_utils`.
        folder: Holds the config and the sidecar of the bundle.
        settings: `engine`, the name of the engine's model; `modules`, of the user's own classes, with commas between
            them; and limits.
    """
    modules = tuple(filter(None, settings.get("modules", "").split(",")))
    values = {name.removeprefix(LIMIT): float(text) for name, text in settings.items() if name.startswith(LIMIT)}
    limits = instantiate(
        {name: int(one) if one.is_integer() else one for name, one in values.items()}, Limits, "limits"
    )
    config, engine = read_config(folder, modules, limits), Engine.load(folder)
    served = TRITON_BACKENDS[backend_of(engine, modules).TRITON]
    session = EngineModel(utils, settings["engine"], engine, served)
    return Predictor(task_of(config, folder), engine, session, config.sizes, config.batch.largest, limits)
