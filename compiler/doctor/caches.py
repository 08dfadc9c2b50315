"""What the compiler keeps on this machine, and how much room it takes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from compiler.backends import measurements_folder
from compiler.backends.environments import environments_folder
from compiler.pipeline.job import cache_folder


@dataclass(frozen=True)
class Kept:
    """One folder in which something is kept.

    Attributes:
        what: Is in it.
        path: Where it lies.
        size: Bytes of all in it; None where there is no such folder.
    """

    what: str
    path: Path
    size: int | None


def caches(root: Path | None = None) -> tuple[Kept, ...]:
    """The caches of compiles in the current folder, and the environments of backends.

    Args:
        root: The cache of compiles; None for where a compile keeps it that is told nothing.
    """
    root = root or cache_folder()
    parts = {
        "finished stages, and all that follows": root,
        "downloaded checkpoints": root / "checkpoints",
        "what builders measured and compiled": measurements_folder(root),
        "environments of backends": environments_folder(),
    }
    return tuple(Kept(what, path, size_of(path) if path.is_dir() else None) for what, path in parts.items())


def size_of(folder: Path) -> int:
    """The bytes of all files below a folder; links are not followed, and what goes away meanwhile is left out."""
    total, waiting = 0, [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total
