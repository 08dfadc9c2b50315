"""Engines: what a backend runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from compiler.artifact.files import read_json, write_json
from compiler.artifact.names import inside
from compiler.artifact.reading import reading
from compiler.artifact.specs import TensorSpec


@dataclass(frozen=True)
class Engine:
    """What a backend runs. The specs are kept beside the files, since some engines open only on their own device.

    Attributes:
        folder: Holds the engine's files and `engine.json`.
        files: The engine's files or folders, relative to that folder; the first is the one to open.
        backend: The backend's config node.
        inputs: What goes in, in order.
        outputs: What comes out, in order.
        machine: What it was proven on, by name: see `compiler.artifact.machine`; nothing where that was not kept.
    """

    SIDECAR: ClassVar[str] = "engine.json"
    VERSION: ClassVar[int] = 2
    """Of the sidecar's layout. The first had no version, and one `file`."""

    folder: Path
    files: tuple[str, ...]
    backend: dict[str, Any]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    machine: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The file or folder to open, relative to the folder."""
        return self.files[0]

    @property
    def path(self) -> Path:
        """The file or folder to open."""
        return self.folder / self.file

    @property
    def size(self) -> int | None:
        """Bytes of all of its files; None where it is still to be built."""
        paths = [self.folder / name for name in self.files]
        if not all(path.exists() for path in paths):
            return None
        parts = [part for path in paths for part in (path.rglob("*") if path.is_dir() else (path,))]
        return sum(part.stat().st_size for part in parts if part.is_file())

    def save(self) -> None:
        """Write the sidecar."""
        values = {name: value for name, value in asdict(self).items() if name != "folder"}
        write_json(self.folder / self.SIDECAR, {"version": self.VERSION, **values})

    @classmethod
    def load(cls, folder: Path) -> Engine:
        """The engine in a folder, by its sidecar.

        Raises:
            CompileError: The folder holds none.
        """
        path = folder / cls.SIDECAR
        with reading(path, f"{path.name} does not describe an engine", fix="compile it again"):
            values = read_json(path)
            return cls(
                folder=folder,
                files=_files(values),
                backend=_backend(values["backend"]),
                inputs=_specs(values, "inputs"),
                outputs=_specs(values, "outputs"),
                machine=_machine(values.get("machine", {})),
            )


def _backend(node: Any) -> dict[str, Any]:
    """The backend's config node, which names its class."""
    if not isinstance(node, Mapping) or not isinstance(node.get("_target_"), str):
        raise ValueError(f"a backend is a group of keys with the text _target_, not {node!r:.60}")
    if "/" in inside(node.get("name", "backend")):  # files are called after it
        raise ValueError(f"a backend's name is one word, not {node['name']!r:.60}")
    return dict(node)


def _machine(values: Any) -> dict[str, str]:
    """What an engine was proven on."""
    if not isinstance(values, Mapping) or not all(isinstance(value, str) for value in values.values()):
        raise ValueError(f"a machine is texts by their names, not {values!r:.60}")
    return dict(values)


def _specs(values: Mapping[str, Any], key: str) -> tuple[TensorSpec, ...]:
    """The engine's inputs or outputs."""
    if not values[key]:
        raise ValueError(f"an engine has {key}, one at least")
    return tuple(map(TensorSpec.from_dict, values[key]))


def _files(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The engine's files, in either layout."""
    version = values.get("version", 1)
    if version not in (1, Engine.VERSION):
        raise ValueError(f"its layout is {version}, and 1 to {Engine.VERSION} can be read here")
    files = values["files"] if version == Engine.VERSION else [values["file"]]
    if not isinstance(files, list) or not files:
        raise ValueError(f"the engine's files are a list with one at least, not {files}")
    return tuple(map(inside, files))
