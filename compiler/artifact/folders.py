"""Folders that are copied, removed, and replaced in one step, whatever their modes and whatever stands in the way."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from compiler.artifact.reading import reading


def copy_files(files: Mapping[str, Path], folder: Path) -> None:
    """Copy files into a folder, by their names there: their content and not their modes, so that copies can be changed.

    Args:
        files: See `files_in`.
        folder: Made where it is not there.
    """
    for name, path in files.items():
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def remove(path: Path) -> None:
    """Remove what lies at a path: a folder, a read-only one too, a file, or a link but not what it leads to.

    Raises:
        OSError: It is there still.
    """
    if path.is_dir() and not path.is_symlink():
        _make_removable(path)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def retired(folder: Path) -> Path:
    """Where the previous content of a folder lies while it is being replaced."""
    folder = folder.absolute()  # a folder may be given as "."
    return folder.with_name(f".{folder.name}.old")


def replace_folder(new: Path, final: Path) -> None:
    """Put the folder `new` in the place of `final`: whoever looks finds the old one whole or the new one whole.

    A file or a link that stands there is replaced too, and what the link leads to is left alone.

    Linux swaps two folders in one step. Elsewhere there is a moment between two renames; `recover_folder` undoes it
    when the process was killed just then.
    """
    old = retired(final)
    remove(old)
    if not os.path.lexists(final):
        new.rename(final)
        return
    if _exchange(new, final):
        old = new
    else:
        final.rename(old)
        new.rename(final)
    with suppress(OSError):  # the new one is in its place: the next run removes what is left of the old one
        remove(old)


def recover_folder(final: Path) -> None:
    """Bring back the old folder where a killed process had moved it aside and not yet put the new one in its place."""
    with reading(final, f"{final.name} cannot be opened"):
        old = retired(final)
        if old.is_dir() and not old.is_symlink() and not os.path.lexists(final):
            with suppress(OSError):  # who may only read has no bundle, and is told so
                old.rename(final)


def _make_removable(folder: Path) -> None:
    """Let a folder and those in it be emptied."""
    folder.chmod(0o700)
    for parent, names, _ in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o700)


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
