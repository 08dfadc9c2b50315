"""What the stages hand to each other: files on disk, their digests and the tensors that go in and out."""

from compiler.artifact.digests import bytes_digest, digest, file_digest, file_digests, installed_version, source_digest
from compiler.artifact.engine import Engine
from compiler.artifact.files import finite, read_json, write_json, write_text, written_whole
from compiler.artifact.folders import copy_files, recover_folder, remove, replace_folder, retired
from compiler.artifact.given_files import LARGEST, LARGEST_WEIGHTS, read_given, require_file
from compiler.artifact.input_files import InputFile
from compiler.artifact.lock import LOCK_FILE, REPORT_FILE, Lock, lock_of, require_files
from compiler.artifact.names import files_in, inside, located
from compiler.artifact.processes import ended, isolated_command
from compiler.artifact.programs import (
    OnnxProgram,
    Program,
    TorchExportProgram,
    TorchScriptProgram,
    TracedProgram,
)
from compiler.artifact.reading import as_fault_of, reading
from compiler.artifact.specs import Dimension, Tensors, TensorSpec

__all__ = [
    "LARGEST",
    "LARGEST_WEIGHTS",
    "LOCK_FILE",
    "REPORT_FILE",
    "Dimension",
    "Engine",
    "InputFile",
    "Lock",
    "OnnxProgram",
    "Program",
    "TensorSpec",
    "Tensors",
    "TorchExportProgram",
    "TorchScriptProgram",
    "TracedProgram",
    "as_fault_of",
    "bytes_digest",
    "copy_files",
    "digest",
    "ended",
    "file_digest",
    "file_digests",
    "files_in",
    "finite",
    "inside",
    "installed_version",
    "isolated_command",
    "located",
    "lock_of",
    "read_given",
    "read_json",
    "reading",
    "recover_folder",
    "remove",
    "replace_folder",
    "require_file",
    "require_files",
    "retired",
    "source_digest",
    "write_json",
    "write_text",
    "written_whole",
]
