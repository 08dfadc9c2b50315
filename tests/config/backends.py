"""Classes of backends that differ in what they know about themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compiler.artifact import Program, TorchExportProgram, TorchScriptProgram
from compiler.backends.onnxruntime import OnnxRuntime


@dataclass(frozen=True, kw_only=True)
class Careful(OnnxRuntime):
    """A user's own, of another kind."""

    PRECISIONS: ClassVar[tuple[str, ...]] = ("fp16", "fp32")
    EXPORTER: ClassVar[str] = "torchscript"


@dataclass(frozen=True, kw_only=True)
class Fp16First(OnnxRuntime):
    PRECISIONS: ClassVar[tuple[str, ...]] = ("fp16", "fp32")


@dataclass(frozen=True, kw_only=True)
class Int8(OnnxRuntime):
    PRECISIONS: ClassVar[tuple[str, ...]] = ("fp32", "int8")


@dataclass(frozen=True, kw_only=True)
class ByDynamo(OnnxRuntime):
    EXPORTER: ClassVar[str] = "dynamo"


@dataclass(frozen=True, kw_only=True)
class ByTorchScript(OnnxRuntime):
    EXPORTER: ClassVar[str] = "torchscript"


@dataclass(frozen=True, kw_only=True)
class ReadsTorchScript(OnnxRuntime):
    PROGRAM: ClassVar[type[Program]] = TorchScriptProgram


@dataclass(frozen=True, kw_only=True)
class ReadsTorchExport(OnnxRuntime):
    PROGRAM: ClassVar[type[Program]] = TorchExportProgram
