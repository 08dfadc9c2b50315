"""What the stages hand to each other: files on disk, their digests and the tensors that go in and out."""

from compiler.artifact.digests import bytes_digest, digest, file_digest, installed_version, source_digest
from compiler.artifact.engine import Engine
from compiler.artifact.files import finite, read_json, write_json, write_text, written_whole
from compiler.artifact.folders import recover_folder, replace_folder, retired
from compiler.artifact.input_files import InputFile
from compiler.artifact.packages import package_folders
from compiler.artifact.programs import (
    OnnxProgram,
    Program,
    TorchExportProgram,
    TorchScriptProgram,
    TracedProgram,
)
from compiler.artifact.specs import Dimension, Tensors, TensorSpec

__all__ = [
    "Dimension",
    "Engine",
    "InputFile",
    "OnnxProgram",
    "Program",
    "TensorSpec",
    "Tensors",
    "TorchExportProgram",
    "TorchScriptProgram",
    "TracedProgram",
    "bytes_digest",
    "digest",
    "file_digest",
    "finite",
    "installed_version",
    "package_folders",
    "read_json",
    "recover_folder",
    "replace_folder",
    "retired",
    "source_digest",
    "write_json",
    "write_text",
    "written_whole",
]
