"""Read the files of data sets: data from strangers, which runs nothing."""

from __future__ import annotations

import json
import math
import os.path
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any

from compiler.artifact import read_given, reading
from compiler.errors import CompileError

FARTHEST = 1e6
"""Pixels: nothing in an image is farther from its corner."""


@contextmanager
def expected(path: Path, kind: str, form: str) -> Iterator[None]:
    """Say what a file should hold wherever reading it fails.

    Args:
        path: The file.
        kind: What it should hold, such as `COCO annotations`.
        form: What those are made of.

    Raises:
        CompileError: It cannot be read, or holds something else.
    """
    with reading(path, f"{path.name} holds no {kind}", fix=form):
        yield


def parse_json(path: Path) -> Any:
    """What is in a JSON file."""
    return json.loads(_content(path).decode("utf-8"))


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty, without what surrounds them."""
    text = _content(path).decode("utf-8-sig")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _content(path: Path) -> bytes:
    """What is in a file, which whoever expects something of it says more about.

    Raises:
        ValueError: It is missing, no file, too large or cannot be read.
    """
    try:
        return read_given(path, path.name, may_be_empty=True)
    except CompileError as error:
        raise ValueError(f"{error.what}: {error.why}") from error


def find_files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files below a folder whose suffix is one of these, in small letters; sorted."""
    with reading(folder, f"the folder {folder.name} cannot be searched"):
        return [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in suffixes and path.is_file()]


def path_within(root: Path, name: Any, beside: Path | None = None) -> Path:
    """A file that a data set names, which lies in the data set's folder as it is named.

    Args:
        root: The folder of the data set.
        name: Of the file, with either kind of slash.
        beside: The folder that it is seen from, within the root; the root where it is left out.

    Raises:
        ValueError: It is no name, or leads elsewhere.
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"{name!r:.60} is no name of a file")
    # Drives and backslashes are those of whoever labelled the images on Windows.
    parts = PureWindowsPath(name)
    relative = Path(os.path.normpath(Path((beside or root).relative_to(root), *parts.parts)))
    if parts.drive or parts.root or relative.parts[:1] == ("..",):
        raise ValueError(f"the file {name!r:.60} is not within the folder of the data set")
    return root / relative


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names of classes, each of which stands for one.

    Raises:
        ValueError: A name stands there twice: what is called by it cannot be told apart.
    """
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{names.count(name)} classes are called {name!r:.60}")
    return tuple(names)


def square_pixels(value: Any) -> float:
    """An area in an image.

    Raises:
        ValueError: It is no number, or none that an area in an image has.
    """
    number = float(value)
    if not 0 <= number <= FARTHEST**2:
        raise ValueError(f"{value!r:.60} is no number of square pixels")
    return number


def pixels(value: Any) -> float:
    """A number of pixels, or a coordinate.

    Raises:
        ValueError: It is no number, or none that is met in an image.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r:.60} is no number of pixels")
    number = float(value)
    if not math.isfinite(number) or abs(number) > FARTHEST:
        raise ValueError(f"{value!r:.60} is no number of pixels")
    return number
