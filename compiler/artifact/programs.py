"""Programs: a network as the file that a backend reads. One kind for each of the forms that backends read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from compiler.artifact.files import read_json, write_json
from compiler.artifact.names import inside
from compiler.artifact.reading import reading
from compiler.artifact.specs import TensorSpec
from compiler.errors import CompileError

P = TypeVar("P", bound="Program")


@dataclass(frozen=True)
class Program:
    """A network as one file. Its specs are kept beside it, since some kinds are read by torch alone.

    Attributes:
        path: The file.
        inputs: What goes in, in order.
        outputs: What comes out, in order.
    """

    SIDECAR: ClassVar[str] = "program.json"
    VERSION: ClassVar[int] = 1
    """Of the sidecar's layout."""
    IR: ClassVar[str]
    """The form of the file, by the name that rewriters know it by."""
    EXPORTER: ClassVar[str] = "auto"
    """The one exporter that makes it; `auto` where either does."""

    path: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @classmethod
    def of(cls: type[P], program: Program) -> P:
        """A Program that has to be of this kind.

        Raises:
            CompileError: It is of another.
        """
        if isinstance(program, cls):
            return program
        raise CompileError(
            f"a Program in {program.IR} is not what is read here",
            where=str(program.path),
            why=f"{cls.__name__} is needed, and this is {type(program).__name__}",
            fix="export it for a backend that reads this kind: see PROGRAM of its class",
        )

    def save(self) -> None:
        """Write the sidecar."""
        values = {name: value for name, value in asdict(self).items() if name != "path"}
        layout = {"version": self.VERSION, "ir": self.IR, "file": self.path.name}
        write_json(self.path.with_name(self.SIDECAR), {**layout, **values})

    @staticmethod
    def load(folder: Path) -> Program:
        """The Program in a folder, by its sidecar.

        Raises:
            CompileError: The folder holds none, or one of a kind that is not known.
        """
        path = folder / Program.SIDECAR
        with reading(path, f"{path.name} does not describe a Program", fix="compile it again"):
            return _from_sidecar(folder, read_json(path))


@dataclass(frozen=True)
class OnnxProgram(Program):
    """A network as one ONNX file.

    Attributes:
        opset: The version of the default operator set that the file really has.
        nodes: How many operators its main graph has.
    """

    IR: ClassVar[str] = "onnx"

    opset: int
    nodes: int


@dataclass(frozen=True)
class TracedProgram(Program):
    """A network as torch traced it, for backends that read torch's own archives."""

    FILE: ClassVar[str]
    """What the archive is called."""


@dataclass(frozen=True)
class TorchExportProgram(TracedProgram):
    """An archive of `torch.export`."""

    IR: ClassVar[str] = "torch_export"
    EXPORTER: ClassVar[str] = "dynamo"
    FILE: ClassVar[str] = "program.pt2"


@dataclass(frozen=True)
class TorchScriptProgram(TracedProgram):
    """An archive of TorchScript."""

    IR: ClassVar[str] = "torchscript"
    EXPORTER: ClassVar[str] = "torchscript"
    FILE: ClassVar[str] = "program.pt"


KINDS: Mapping[str, type[Program]] = {kind.IR: kind for kind in (OnnxProgram, TorchExportProgram, TorchScriptProgram)}


def _from_sidecar(folder: Path, values: Mapping[str, Any]) -> Program:
    if values["version"] != Program.VERSION:
        raise ValueError(f"its layout is {values['version']}, and {Program.VERSION} can be read here")
    specs = {name: tuple(map(TensorSpec.from_dict, values[name])) for name in ("inputs", "outputs")}
    own = {name: value for name, value in values.items() if name not in ("version", "ir", "file", *specs)}
    return KINDS[values["ir"]](path=folder / inside(values["file"]), **specs, **own)
