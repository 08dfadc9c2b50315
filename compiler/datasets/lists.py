"""Data sets without labels: a folder, or a list of files."""

from __future__ import annotations

from pathlib import Path

from compiler.artifact import reading
from compiler.datasets.dataset import Dataset, Item
from compiler.datasets.files import find_files, read_lines


def read_folder(folder: Path, suffixes: tuple[str, ...]) -> Dataset:
    """All files of some suffixes below a folder."""
    return Dataset(tuple(map(Item, find_files(folder, suffixes))))


def read_list(path: Path) -> Dataset:
    """The files that a text file names, one a line, seen from its folder; a line that begins with # is a comment.

    Raises:
        CompileError: The file cannot be read.
    """
    with reading(path, "the list of files cannot be read"):
        lines = read_lines(path)
    return Dataset(tuple(Item(path.parent / line) for line in lines if not line.startswith("#")))
