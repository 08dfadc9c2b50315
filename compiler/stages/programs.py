"""The Program that a stage leaves in its folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from compiler.artifact import Program, file_digest, reading
from compiler.graphs import describe
from compiler.graphs.self_contained import require_self_contained
from compiler.stages.stage import Artifact


@dataclass(frozen=True)
class ProgramArtifact:
    """A Program, by the digest of all that it was made from.

    Attributes:
        digest: See `Artifact`.
        program: Where it lies, and what goes in and out of it.
    """

    digest: str
    program: Program = field(compare=False)

    @classmethod
    def left_by(cls, artifact: Artifact) -> ProgramArtifact:
        """The Program in the folder of a stage."""
        return cls(artifact.digest, Program.load(artifact.folder))

    @classmethod
    def from_file(cls, path: Path) -> ProgramArtifact:
        """An ONNX file that lies in a bundle.

        Raises:
            CompileError: It keeps numbers in other files, or is no ONNX file.
        """
        require_self_contained(path)
        with reading(path, f"{path.name} is not a valid ONNX file", fix="export or copy it again"):
            return cls(file_digest(path), describe(path))

    @property
    def path(self) -> Path:
        """Its file."""
        return self.program.path

    @property
    def folder(self) -> Path:
        """Of the stage that made it."""
        return self.program.path.parent
