"""The `config.pbtxt` of a model: what Triton is told about an engine, and about what surrounds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compiler.artifact import Dimension, Tensors, TensorSpec
from compiler.backends import Backend
from compiler.errors import CompileError
from compiler.graphs.providers import CPU as ON_CPU
from compiler.runtime.contents import BundleContents
from compiler.serving.servers import GPU, TritonBackend, type_name
from compiler.serving.text_format import Word, key_values
from compiler.tasks import Task

LABELS_FILE = "labels.txt"
WARM_UP = "warmup"
"""The folder that Triton looks for the data of a warm-up in."""
LABELLED = ("labels", "scores")
"""The outputs that tell classes apart, the first that there is."""
ACCELERATORS: Mapping[str, Mapping[str, Any]] = {
    ON_CPU: {},
    "cuda": {},
    "tensorrt": {"gpu_execution_accelerator": [{"name": "tensorrt"}]},
    "openvino": {"cpu_execution_accelerator": [{"name": "openvino"}]},
}
"""What Triton is told of an execution provider of ONNX Runtime's, by our name for it."""
GRAPH_LEVELS: Mapping[str, int] = {"basic": -1, "extended": 1, "disabled": 2}
"""How far ONNX Runtime optimises a graph, by our name for it; all the way where nothing is said."""


def engine_config(name: str, contents: BundleContents, served: TritonBackend, labelled: bool) -> dict[str, Any]:
    """What Triton is told about an engine, warm-up aside.

    Args:
        name: Of the model.
        contents: Of its bundle.
        served: What runs it.
        labelled: Whether there is a file of labels.
    """
    engine, config = contents.engine, contents.config
    batch, where = largest_batch(contents, served), str(engine.folder)
    outputs = [_tensor(served, engine.outputs, index, batch, where) for index in range(len(engine.outputs))]
    names = [spec.name for spec in engine.outputs]
    told = next((one for one in LABELLED if one in names), None)
    if labelled and told:
        outputs[names.index(told)]["label_filename"] = LABELS_FILE
    usual = config.batch.usual
    return {
        "name": name,
        **({"platform": served.platform} if served.platform else {}),
        "backend": served.name,
        "default_model_filename": served.files[0],
        "max_batch_size": batch,
        "input": [_tensor(served, engine.inputs, index, batch, where) for index in range(len(engine.inputs))],
        "output": outputs,
        **({"dynamic_batching": {"preferred_batch_size": [usual] if usual > 1 else []}} if batch > 1 else {}),
        **_options(contents, served),
    }


def largest_batch(contents: BundleContents, served: TritonBackend) -> int:
    """How many items Triton may put together; 0 where the first axes do not count them, or count a fixed number.

    A batch that varies has a name in the specs of every tensor; a fixed one Triton would take for an axis of its own.
    """
    engine = contents.engine
    axes = {spec.shape[:1] for spec in (*engine.inputs, *engine.outputs)}
    varies = len(axes) == 1 and all(isinstance(side, str) for side in next(iter(axes))) and axes != {()}
    return contents.config.batch.largest if served.batches and contents.task.batched and varies else 0


def warm_up(
    tensors: Tensors, names: Mapping[str, str], types: Mapping[str, str], batch: int, smallest: int
) -> list[dict[str, Any]]:
    """What Triton runs before it answers: as few items as the engine takes, and as many as it may put together.

    Args:
        tensors: Of one item; where there is no batch, of one run.
        names: What Triton calls each.
        types: What Triton calls the type of each.
        batch: See `largest_batch`.
        smallest: The fewest items that the engine takes, where there is a batch.
    """
    inputs = {
        names[name]: {
            "data_type": Word(types[name]),
            "dims": list(tensor.shape[1:] if batch else tensor.shape),
            "input_data_file": warm_up_file(index),
        }
        for index, (name, tensor) in enumerate(tensors.items())
    }
    counts = dict.fromkeys((smallest, batch) if batch else (1,))
    return [{"name": f"{count} at once", "batch_size": count, "inputs": key_values(inputs)} for count in counts]


def warm_up_file(index: int) -> str:
    """The file of an input's data: a stranger's name of a tensor names no file."""
    return f"input_{index}"


def pipeline_config(
    name: str, engine_name: str, task: Task[Any, Any, Any], settings: Mapping[str, str]
) -> dict[str, Any]:
    """What Triton is told about the model that prepares an input, has the engine run, and decodes what comes out.

    Args:
        name: Of the model.
        engine_name: Of the engine's.
        task: What it does.
        settings: Of `BundleModel`, beside the engine's name.
    """
    boxes = {"name": "boxes", "data_type": Word("TYPE_FP32"), "dims": [-1, 4], "optional": True}
    return {
        "name": name,
        "backend": "python",
        "max_batch_size": 0,
        "input": [
            {"name": task.looks_at.name, "data_type": Word("TYPE_UINT8"), "dims": [-1]},
            *([boxes] if task.takes_boxes else []),
        ],
        "output": [{"name": "results", "data_type": Word("TYPE_STRING"), "dims": [1]}],
        "instance_group": [{"kind": Word("KIND_CPU")}],
        "parameters": _parameters({"engine": engine_name, **settings}),
    }


def _tensor(served: TritonBackend, specs: Sequence[TensorSpec], index: int, batch: int, where: str) -> dict[str, Any]:
    """What Triton is told about an input or an output."""
    spec = specs[index]
    dims = list(map(_length, spec.shape[1:] if batch else spec.shape))
    told = {"name": served.tensor_name(specs, index), "data_type": Word(type_name(spec, where)), "dims": dims or [1]}
    return told if dims else {**told, "reshape": {"shape": []}}


def _length(side: Dimension) -> int:
    return side if isinstance(side, int) else -1


def _options(contents: BundleContents, served: TritonBackend) -> dict[str, Any]:
    """What the backend's own options come to in Triton's words.

    Raises:
        CompileError: There are no words for one.
    """
    backend = contents.backend
    provider = getattr(backend, "provider", ON_CPU)
    if provider not in ACCELERATORS:
        raise CompileError(
            f"Triton runs no engine by the provider {provider}",
            where=str(contents.engine.folder),
            why=f"it knows {', '.join(ACCELERATORS)}",
            fix=f"compile with backend.provider={ON_CPU}",
        )
    optimization = {"execution_accelerators": ACCELERATORS[provider]} if ACCELERATORS[provider] else {}
    level = GRAPH_LEVELS.get(getattr(backend, "optimization", ""))
    if level is not None:
        optimization = {**optimization, "graph": {"level": level}}
    parameters = _parameters(_settings(backend, served))
    return {
        "instance_group": [{"kind": Word(GPU if provider in ("cuda", "tensorrt") else served.kind)}],
        **({"optimization": optimization} if optimization else {}),
        **({"parameters": parameters} if parameters else {}),
    }


def _settings(backend: Backend, served: TritonBackend) -> dict[str, str]:
    """What the options of a backend are in the words of Triton's; what nobody chose is left to it."""
    chosen = {word: getattr(backend, option) for option, word in served.options.items()}
    bf16 = {"HINT_BF16": "YES"} if getattr(backend, "inference_precision", None) == "bf16" else {}
    return {word: str(value).upper() for word, value in chosen.items() if value is not None} | bf16


def _parameters(values: Mapping[str, str]) -> list[dict[str, Any]]:
    return key_values({name: {"string_value": value} for name, value in values.items()})
