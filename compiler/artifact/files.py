"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from compiler.artifact.given_files import read_given
from compiler.artifact.reading import reading

LARGEST_JSON = 64 * 2**20
"""Bytes. JSON takes up to thirty times as much memory as its file."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a file beside `path` to write to, and put it in its place at the end: it is there whole or not at all."""
    # Of this write alone: other threads and processes may write the same file meanwhile.
    partial = path.with_name(f".{path.name}.{os.getpid()}.{uuid4().hex}.partial")
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
    """A JSON-able value with infinities and not-a-numbers written as text, which strict JSON needs."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def read_json(path: Path) -> Any:
    """Read a JSON file of ours: a sidecar, a lock, a report.

    Raises:
        CompileError: It is missing, not JSON, or larger than `LARGEST_JSON`.
    """
    fix = "is this a bundle? Compile it again, or name the folder that holds deploy.json"
    with reading(path, f"{path.name} cannot be read", fix=fix):
        return json.loads(read_given(path, path.name, fix=fix, largest=LARGEST_JSON).decode("utf-8"))
