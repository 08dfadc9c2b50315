"""What two results are told apart by: the digests of values, files and source, and the versions of libraries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from compiler.artifact.names import files_in
from compiler.artifact.reading import reading

OTHER_BUILDS = {
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml"),
    "opencv-python-headless": ("opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python"),
}
"""Distributions that bring the same package as another."""


def installed_version(distribution: str) -> str:
    """The version of a distribution, or of another build of it, found without importing it; empty without either."""
    for name in (distribution, *OTHER_BUILDS.get(distribution, ())):
        with suppress(PackageNotFoundError):
            return version(name)
    return ""


def digest(value: object) -> str:
    """The SHA-256 of a JSON-able value; equal values have equal digests, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def bytes_digest(content: bytes) -> str:
    """The SHA-256 of bytes: that of a file with this content."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content."""
    with reading(path, f"{path.name} cannot be read"), path.open("rb") as file:
        sha = hashlib.sha256()
        for block in iter(lambda: file.read(1 << 20), b""):
            sha.update(block)
    return sha.hexdigest()


def file_digests(folder: Path, exclude: tuple[str, ...] = ()) -> dict[str, str]:
    """The SHA-256 of every file below a folder, by its name there.

    Raises:
        CompileError: See `files_in`; or a file cannot be read.
    """
    return {name: file_digest(path) for name, path in files_in(folder).items() if name not in exclude}


def source_digest(packages: Iterable[Path]) -> str:
    """The digest of all files below some folders, but for what Python compiles: the version of the tool that is run."""
    files = [(package, file) for package in packages for file in sorted(package.rglob("*")) if file.is_file()]
    own = [(package, file) for package, file in files if "__pycache__" not in file.parts]
    return digest([(file.relative_to(package).as_posix(), file_digest(file)) for package, file in own])
