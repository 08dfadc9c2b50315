"""The lock of a bundle: what its files were when it was made, and whether they are the same still."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compiler.artifact.digests import file_digest
from compiler.artifact.engine import Engine
from compiler.artifact.files import read_json
from compiler.artifact.names import files_in, inside, located
from compiler.artifact.reading import reading
from compiler.errors import CompileError

LOCK_FILE = "lock.json"
REPORT_FILE = "report.json"
"""Beside it: what a run found out."""
VERSION = 2
"""Of its layout; the first said none."""
MOST_FILES = 10_000
"""Each of them is looked for."""
CANNOT_BE_READ = "the bundle cannot be read"
GET_AGAIN = "get the bundle again from where it came from"
TRUST = "; where the changes are yours, add --trust-changes (in Python: trust_changes=True)"


@dataclass(frozen=True)
class Lock:
    """What the files of a bundle were when it was made.

    Attributes:
        key: The digest of all that the bundle was made from.
        files: The SHA-256 of each file, by its name.
        made_from: The SHA-256 of each file that the bundle was made from, by the key of the config that named it;
            nothing where that was not kept yet.
    """

    key: str
    files: Mapping[str, str]
    made_from: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Lock:
        """The lock of a bundle.

        Raises:
            CompileError: It is missing or broken.
        """
        path = located(folder, LOCK_FILE)
        if not path.is_file():
            raise _refused(folder, f"{LOCK_FILE} is missing", TRUST)
        try:
            return cls._from_json(read_json(path))
        except (CompileError, ValueError) as error:
            why = error.why if isinstance(error, CompileError) else str(error)
            raise _refused(folder, f"{LOCK_FILE} is broken: {why}", TRUST) from error

    @classmethod
    def _from_json(cls, values: Any) -> Lock:
        if not isinstance(values, dict) or values.get("version", 1) not in (1, VERSION):
            raise ValueError(f"it is no lock of version 1 to {VERSION}")
        key, files = values.get("key"), values.get("files")
        if not isinstance(key, str) or not isinstance(files, dict):
            raise ValueError("it has no key and no files")
        if len(files) > MOST_FILES:
            raise ValueError(f"it names {len(files):,} files, and a bundle has at most {MOST_FILES:,}")
        made_from = values.get("made_from", {})
        if not isinstance(made_from, dict):
            raise ValueError("what it was made from is no list of files")
        if not all(isinstance(digest, str) for digest in (*files.values(), *made_from.values())):
            raise ValueError("the digest of a file is a text")
        return cls(key, {inside(name): digest for name, digest in files.items()}, made_from)


def lock_of(folder: Path, trust_changes: bool) -> Lock | None:
    """What the files of a bundle are held to; None where whatever they are now is trusted.

    Raises:
        CompileError: The folder is no bundle, or its lock is missing or broken.
    """
    with reading(folder, CANNOT_BE_READ):
        is_bundle = looks_like_a_bundle(folder)
        is_inside = folder.is_file() and looks_like_a_bundle(folder.parent)
    if not is_bundle:
        raise CompileError(
            f"{folder} is not a bundle",
            where=str(folder),
            why="it is a file of one" if is_inside else f"it has no {LOCK_FILE} and no {Engine.SIDECAR}",
            fix=f"name its folder, {folder.parent}"
            if is_inside
            else "name the folder that python -m compiler printed beside the word bundle: it ends in the deploy name",
        )
    return None if trust_changes else Lock.load(folder)


def require_files(folder: Path, names: Iterable[str], lock: Lock | None) -> None:
    """Refuse to go on with files of a bundle that are not what they were, all of them in one message.

    Args:
        folder: Of the bundle.
        names: Of the files, and of folders for all that is in them.
        lock: What they were; None where it is only asked that they are there.

    Raises:
        CompileError: One is missing, was changed or was added, or leads out of the bundle.
    """
    with reading(folder, CANNOT_BE_READ):
        wanted = dict.fromkeys(file for name in names for file in _files_of(folder, name, lock))
        problems = [f"{name} {problem}" for name in wanted if (problem := _problem(folder, name, lock))]
    if problems:
        raise _refused(folder, ", ".join(problems), TRUST if lock else "")


def require_unchanged(folder: Path) -> Lock:
    """The lock of a bundle that is all that it was: no file is missing, changed or added.

    Raises:
        CompileError: It is not, or is no bundle.
    """
    with reading(folder, CANNOT_BE_READ):
        lock = lock_of(folder, trust_changes=False) or Lock.load(folder)
        require_files(folder, sorted({*lock.files, *files_in(folder)} - {LOCK_FILE}), lock)
    return lock


def looks_like_a_bundle(folder: Path) -> bool:
    """Whether a folder holds what no other does: a lock, or an engine's sidecar."""
    return any((folder / name).is_file() for name in (LOCK_FILE, Engine.SIDECAR))


def is_within_a_bundle(path: Path) -> bool:
    """Whether a path is a bundle or lies in one: in a folder, however deep, that has a lock and an engine's sidecar."""
    place, names = path.resolve(), (LOCK_FILE, Engine.SIDECAR)
    return any(all((folder / name).is_file() for name in names) for folder in (place, *place.parents))


def _files_of(folder: Path, name: str, lock: Lock | None) -> Iterable[str]:
    """A file's own name; of a folder, what is in it and what was."""
    path = located(folder, name)
    locked = lock.files if lock else {}
    if name in locked or not path.is_dir():
        return (name,)
    before = (file for file in locked if file.startswith(f"{name}/"))
    return (*before, *(f"{name}/{file}" for file in files_in(path))) or (name,)


def _problem(folder: Path, name: str, lock: Lock | None) -> str:
    """What is wrong with a file; empty where nothing is."""
    path = located(folder, name)
    if not path.is_file():
        return "is missing"
    if lock is None:
        return ""
    if name not in lock.files:
        return "was added"
    return "" if file_digest(path) == lock.files[name] else "was changed"


def _refused(folder: Path, why: str, trust: str) -> CompileError:
    return CompileError("the bundle is not as it was made", where=str(folder), why=why, fix=f"{GET_AGAIN}{trust}")
