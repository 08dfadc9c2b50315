"""Folders that are replaced in one step."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path

from compiler.artifact.reading import reading


def retired(folder: Path) -> Path:
    """Where the previous content of a folder lies while it is being replaced."""
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
    with reading(final, f"{final.name} cannot be opened"):
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
