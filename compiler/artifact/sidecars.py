"""Sidecars: what is known of a file that cannot be asked itself, as JSON beside it. They may come from a stranger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compiler.errors import CompileError


@contextmanager
def checked_sidecar(path: Path, what: str) -> Iterator[None]:
    """Turn what is missing or wrong in a sidecar into one error.

    Args:
        path: The sidecar.
        what: It should describe.

    Raises:
        CompileError: It does not.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CompileError(
            f"{path.name} does not describe {what}",
            where=str(path),
            why=f"{type(error).__name__}: {error}",
            fix="compile it again",
        ) from error
