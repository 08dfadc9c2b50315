"""The backends of Triton Inference Server: what each calls the files and the tensors of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from compiler.artifact import TensorSpec
from compiler.backends import Backend
from compiler.errors import CompileError

GPU, CPU = "KIND_GPU", "KIND_CPU"


@dataclass(frozen=True)
class TritonBackend:
    """A backend of Triton's.

    Attributes:
        name: Of its own.
        files: What it calls a model's files, in the order of an engine's.
        platform: The older name of its models, which tools still look at; empty where it has none.
        kind: Where it runs them.
        numbered: Whether tensors are told apart by a number behind their name, as in `input__0`.
        batches: Whether it runs as many requests at once as there are, up to the largest batch. OpenVINO's fixes a
            model to the largest, and refuses fewer: it is told of no batch, and runs what a request holds.
        options: What it calls the options of our backend, by our names.
    """

    name: str
    files: tuple[str, ...]
    platform: str = ""
    kind: str = CPU
    numbered: bool = False
    batches: bool = True
    options: Mapping[str, str] = field(default_factory=dict)

    def tensor_name(self, specs: Sequence[TensorSpec], index: int) -> str:
        """What the tensor at a place among inputs or outputs is called."""
        return f"{specs[index].name}__{index}" if self.numbered else specs[index].name


TRITON_BACKENDS: Mapping[str, TritonBackend] = {
    one.name: one
    for one in (
        TritonBackend("onnxruntime", ("model.onnx",), "onnxruntime_onnx", options={"threads": "intra_op_thread_count"}),
        TritonBackend(
            "openvino",
            ("model.xml", "model.bin"),
            batches=False,
            options={"threads": "INFERENCE_NUM_THREADS", "streams": "NUM_STREAMS", "hint": "PERFORMANCE_HINT"},
        ),
        TritonBackend(
            "pytorch", ("model.pt",), "pytorch_libtorch", numbered=True, options={"threads": "INTRA_OP_THREAD_COUNT"}
        ),
        TritonBackend("tensorrt", ("model.plan",), "tensorrt_plan", GPU),
    )
}
"""By name."""
TYPES: Mapping[str, str] = {
    "bool": "TYPE_BOOL",
    "float16": "TYPE_FP16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
    **{f"{sign}int{bits}": f"TYPE_{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
"""Triton's names of the types of numbers, by NumPy's."""


def triton_backend(backend: Backend, engine_files: Sequence[str], where: str) -> TritonBackend:
    """The backend of Triton's that runs engines of a backend.

    Raises:
        CompileError: None does, or none runs an engine of these files.
    """
    found = TRITON_BACKENDS.get(backend.TRITON)
    title = backend.TITLE or backend.name
    if found is None:
        raise CompileError(
            f"Triton has no backend for engines of {title}",
            where=where,
            why=f"it runs those of {', '.join(TRITON_BACKENDS)}",
            fix="compile for one of them: backend=onnxruntime, openvino, tensorrt or torchscript",
        )
    device = getattr(backend, "device", "")
    if found.name == "openvino" and device != "CPU":
        why = "Triton's OpenVINO runs on the processor alone"
        fix = "compile it with backend.device=CPU"
        raise CompileError(f"Triton runs no engine for {device}", where=where, why=why, fix=fix)
    if len(engine_files) != len(found.files):
        raise CompileError(
            f"Triton takes another number of files of {title}",
            where=where,
            why=f"the engine is {', '.join(engine_files)}, and a model is {' and '.join(found.files)}",
            fix="compile it with its weights in it: backend.strip_weights=false",
        )
    return found


def type_name(spec: TensorSpec, where: str) -> str:
    """What Triton calls the type of a tensor.

    Raises:
        CompileError: It has no such type.
    """
    if spec.dtype not in TYPES:
        fix = "give the model other outputs: real and imaginary parts, for example"
        raise CompileError(f"Triton has no type {spec.dtype}", where=f"{where}: {spec.name}", fix=fix)
    return TYPES[spec.dtype]
