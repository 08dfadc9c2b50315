"""What the stages hand to each other: files on disk, their digests and the tensors that go in and out."""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from compiler.config.moved import without_retired_keys
from compiler.errors import CompileError

Dimension = int | str

Tensors = Mapping[str, NDArray[Any]]
"""Network inputs or outputs, by name."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a Program or an Engine.

    Attributes:
        name: As in the file.
        dtype: A numpy dtype name, for example `float32`.
        shape: A number where the size is fixed, a name where it varies.
    """

    name: str
    dtype: str
    shape: tuple[Dimension, ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TensorSpec:
        """Read what `dataclasses.asdict` wrote."""
        return cls(values["name"], values["dtype"], tuple(values["shape"]))

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class Program:
    """A network as one ONNX file.

    Attributes:
        path: The file.
        inputs: What goes in, in order.
        outputs: What comes out, in order.
        opset: The version of the default operator set that the file really has.
        nodes: How many operators its main graph has.
    """

    path: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int
    nodes: int


@dataclass(frozen=True)
class Engine:
    """What a backend runs. The specs are kept beside the file, since some engines open only on their own device.

    Attributes:
        folder: Holds the engine's files and `engine.json`.
        file: The file to open, relative to the folder.
        backend: The backend's config node.
        inputs: What goes in, in order.
        outputs: What comes out, in order.
    """

    SIDECAR = "engine.json"

    folder: Path
    file: str
    backend: dict[str, Any]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def path(self) -> Path:
        """The file to open."""
        return self.folder / self.file

    def save(self) -> None:
        """Write the sidecar."""
        write_json(self.folder / self.SIDECAR, {k: v for k, v in asdict(self).items() if k != "folder"})

    @classmethod
    def load(cls, folder: Path) -> Engine:
        """Read the sidecar of an engine's folder.

        Raises:
            CompileError: The folder holds no engine.
        """
        values = read_json(folder / cls.SIDECAR)
        try:
            return cls(
                folder=folder,
                file=values["file"],
                backend=without_retired_keys(values["backend"]),
                inputs=tuple(map(TensorSpec.from_dict, values["inputs"])),
                outputs=tuple(map(TensorSpec.from_dict, values["outputs"])),
            )
        except (KeyError, TypeError) as error:
            raise CompileError(
                f"{cls.SIDECAR} does not describe an engine",
                where=str(folder / cls.SIDECAR),
                why=f"{type(error).__name__}: {error}",
                fix="compile it again",
            ) from error


def installed_version(distribution: str) -> str:
    """Return the version of an installed distribution, without importing it; empty where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def digest(value: object) -> str:
    """Return the SHA-256 of a JSON-able value; equal values have equal digests, whatever the order of keys and sets."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=_as_json).encode()).hexdigest()


def _as_json(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        sha = hashlib.sha256()
        for block in iter(lambda: file.read(1 << 20), b""):
            sha.update(block)
    return sha.hexdigest()


def source_digest(packages: Iterable[Path]) -> str:
    """Return the digest of all Python source below some folders: the version of the tool that is being run."""
    files = sorted(file for package in packages for file in package.rglob("*.py"))
    return digest([(file.name, file_digest(file)) for file in files])


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a file beside `path` to write to, and put it in its place at the end: it is there whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write a JSON file so that it is there whole or not at all; what strict JSON does not know is written as text."""
    write_text(path, json.dumps(finite(value), indent=2, default=str, allow_nan=False) + "\n")


def finite(value: Any) -> Any:
    """Return a JSON-able value with infinities and not-a-numbers written as text, which strict JSON needs."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        CompileError: It is missing, or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CompileError(
            f"{path.name} cannot be read",
            where=str(path),
            why=str(error),
            fix="is this a bundle? Compile it again, or name the folder that holds deploy.json",
        ) from error


def retired(folder: Path) -> Path:
    """Return where the previous content of a folder lies while it is being replaced."""
    folder = folder.absolute()  # a folder may be given as "."
    return folder.with_name(f".{folder.name}.old")


def replace_folder(new: Path, final: Path) -> None:
    """Put the folder `new` in the place of `final`: whoever looks finds the old one whole or the new one whole.

    Linux swaps two folders in one step. Elsewhere there is a moment between two renames; `recover_folder` undoes it
    when the process was killed just then.
    """
    old = retired(final)
    shutil.rmtree(old, ignore_errors=True)
    if not final.exists():
        new.rename(final)
    elif _exchange(new, final):
        shutil.rmtree(new, ignore_errors=True)
    else:
        final.rename(old)
        new.rename(final)
        shutil.rmtree(old, ignore_errors=True)


def recover_folder(final: Path) -> None:
    """Bring back the old folder where a killed process had moved it aside and not yet put the new one in its place."""
    old = retired(final)
    if old.is_dir() and not final.exists():
        old.rename(final)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders atomically; return False where the system or the file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    at_current_folder, exchange_flag = -100, 2
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    if renameat2 is None:
        return False
    names = os.fsencode(first), os.fsencode(second)
    return bool(renameat2(at_current_folder, names[0], at_current_folder, names[1], exchange_flag) == 0)
