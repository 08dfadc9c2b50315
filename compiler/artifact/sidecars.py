"""Sidecars: what is known of a file that cannot be asked itself, as JSON beside it. They may come from a stranger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compiler.artifact.reading import reading


@contextmanager
def checked_sidecar(path: Path, what: str) -> Iterator[None]:
    """Turn what is missing or wrong in a sidecar into one error.

    Args:
        path: The sidecar.
        what: It should describe.

    Raises:
        CompileError: It does not.
    """
    with reading(path, f"{path.name} does not describe {what}", fix="compile it again"):
        yield
