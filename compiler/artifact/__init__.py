"""What the stages hand to each other: files on disk, their digests and the tensors that go in and out."""

from compiler.artifact.digests import digest, file_digest, installed_version, source_digest
from compiler.artifact.engine import Engine
from compiler.artifact.files import finite, read_json, write_json, write_text, written_whole
from compiler.artifact.folders import recover_folder, replace_folder, retired
from compiler.artifact.given_files import LARGEST, LARGEST_WEIGHTS, read_given, require_file
from compiler.artifact.programs import (
    OnnxProgram,
    Program,
    TorchExportProgram,
    TorchScriptProgram,
    TracedProgram,
)
from compiler.artifact.specs import Dimension, Tensors, TensorSpec

__all__ = [
    "LARGEST",
    "LARGEST_WEIGHTS",
    "Dimension",
    "Engine",
    "OnnxProgram",
    "Program",
    "TensorSpec",
    "Tensors",
    "TorchExportProgram",
    "TorchScriptProgram",
    "TracedProgram",
    "digest",
    "file_digest",
    "finite",
    "installed_version",
    "read_given",
    "read_json",
    "recover_folder",
    "replace_folder",
    "require_file",
    "retired",
    "source_digest",
    "write_json",
    "write_text",
    "written_whole",
]
