"""Files that somebody brings: a result is never kept under the digest of something else than what was read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from compiler.artifact.digests import file_digest
from compiler.errors import CompileError

FileT = TypeVar("FileT", bound="InputFile")


@dataclass(frozen=True)
class InputFile:
    """A file that somebody brings, by its content.

    Attributes:
        digest: Of its content.
        path: Where it lies; says where, not what.
    """

    digest: str
    path: Path = field(compare=False)

    @classmethod
    def of(cls: type[FileT], path: Path) -> FileT:
        """A file, as it is now.

        Raises:
            CompileError: It cannot be read.
        """
        return cls(file_digest(path), path)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Around what reads the file: at its end, what was read is what the digest is of.

        Raises:
            CompileError: The file is another by now, which is told before whatever else came of reading it.
        """
        try:
            yield
        except Exception as error:
            if self._has_changed():
                raise changed(str(self.path), self.path.name) from error
            raise
        if self._has_changed():
            raise changed(str(self.path), self.path.name)

    def _has_changed(self) -> bool:
        try:
            return file_digest(self.path) != self.digest
        except (CompileError, OSError):
            return True


def changed(where: str, what: str, why: str = "", fix: str = "run again") -> CompileError:
    """What is said where something is not what it was when its digest was taken: a result of it would be kept as that
    of something else."""
    return CompileError(f"{what} changed while it was being read", where=where, why=why, fix=fix)
