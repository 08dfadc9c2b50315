"""Names of files that a stranger gives: they lead into the folder that they are given for, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

from compiler.artifact.reading import reading
from compiler.errors import CompileError

LONGEST_PART = 255
"""Bytes of a name between two slashes, which file systems take."""
LONGEST_NAME = 1024
"""Bytes of a whole name."""
DEEPEST = 20
"""Parts of a name: a link may stand at each of them."""
DEVICES = frozenset({"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))})
"""What Windows opens as a device wherever it is said to lie."""


def inside(name: object) -> str:
    """A plain name of a file in a folder, with slashes between its parts.

    Raises:
        ValueError: It may lead out of the folder, on this system or another, or names no file.
    """
    if not isinstance(name, str) or not is_inside(name):
        raise ValueError(f"{name!r:.80} is not a file in the folder")
    return name


def is_inside(name: str) -> bool:
    """Whether a name leads to a file in a folder and nowhere else, on this system and every other."""
    parts = name.split("/")
    return len(parts) <= DEEPEST and all(map(_is_plain, parts)) and len(name.encode()) <= LONGEST_NAME


def located(folder: Path, name: str) -> Path:
    """A file or folder in a folder, whether it is there or not.

    Raises:
        CompileError: The name or a link leads out of the folder, or what lies there is neither file nor folder.
    """
    try:
        path = folder / inside(name)
    except ValueError as error:
        raise _refused(folder, str(error)) from error
    return _contained(folder, path)


def files_in(folder: Path) -> dict[str, Path]:
    """Every file below a folder, by its name there.

    Raises:
        CompileError: A link leads out of the folder, what lies there is neither file nor folder, or a folder cannot be
            read.
    """
    found = {}
    with reading(folder, "the folder cannot be read"):
        for parent, folders, files in os.walk(folder, onerror=_raise):
            for path in (_contained(folder, Path(parent, name)) for name in (*folders, *files)):
                if path.is_file():
                    found[path.relative_to(folder).as_posix()] = path
    return dict(sorted(found.items()))


def _is_plain(part: str) -> bool:
    """Whether a part of a name is taken as it stands by every system; `.` and `..` end in a dot."""
    return (
        part.isprintable()
        and part[-1:] not in ("", ".", " ")
        and not set(part) & set('\\:*?"<>|')
        and part.partition(".")[0].rstrip().upper() not in DEVICES
        and len(part.encode()) <= LONGEST_PART
    )


def _contained(folder: Path, path: Path) -> Path:
    """A path that no link leads out of its folder, and where no pipe or device lies."""
    with reading(path, f"{path.name} cannot be read"):
        real = os.path.realpath(path)
        if not Path(real).is_relative_to(os.path.realpath(folder)):
            raise _refused(path, f"it is, or lies behind, a link to {real}")
        if path.exists() and not path.is_file() and not path.is_dir():
            raise _refused(path, "it is neither a file nor a folder")
    return path


def _refused(path: Path, why: str) -> CompileError:
    fix = "do not trust what you were given; where it is yours, copy it with files in the place of links: cp -rL"
    return CompileError("a bundle holds files of its own, and nothing else", where=str(path), why=why, fix=fix)


def _raise(error: OSError) -> None:
    raise error
