"""Where predictions go beside standard output: pictures, videos, arrays and a window."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.cli.windows import Window
from compiler.errors import UsageError

if TYPE_CHECKING:
    from compiler.runtime.inputs import Input


@dataclass(frozen=True)
class Outlet:
    """A file that is named, or a folder in which files are called after their inputs, and none twice.

    Attributes:
        path: Of the file or the folder.
        is_folder: Which of the two it is.
        taken: What was called so already, in small letters: some systems do not tell them apart.
    """

    path: Path
    is_folder: bool
    taken: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, option: str, given: str, many: bool) -> Outlet:
        """What an option names: a folder where it ends as one does, is one, or there are many inputs.

        Raises:
            UsageError: There are many inputs, and it names a file.
        """
        path = Path(given)
        is_folder = given.endswith(("/", os.sep)) or path.is_dir()
        if many and not is_folder and (path.suffix or path.exists()):
            fix = f"name a folder: {option}={path.with_suffix('')}/"
            raise UsageError(f"several inputs need a folder for {option}=", where=f"{option}={given}", fix=fix)
        return cls(path, is_folder or many)

    def file(self, one: Input, suffix: str) -> Path:
        """Where what belongs to an input is written.

        Raises:
            UsageError: It is the input itself.
        """
        path = self._free(one.name.with_suffix(suffix)) if self.is_folder else self.path
        if path.exists() and one.path.exists() and path.samefile(one.path):
            what = "what is made of an input would be written over it"
            raise UsageError(what, where=str(path), fix="name another folder or file")
        return path

    def _free(self, name: Path) -> Path:
        """A name that is not taken yet: the second `a.jpg` is `a-2.jpg`."""
        number, free = 1, name
        while str(free).lower() in self.taken:
            number += 1
            free = name.with_stem(f"{name.stem}-{number}")
        self.taken.add(str(free).lower())
        return self.path / free


@dataclass(frozen=True)
class Outlets:
    """Where predictions go.

    Attributes:
        pictures: Drawn ones; None for none.
        arrays: Of a model that gives arrays; None for nowhere.
        window: That shows them; None for none.
    """

    pictures: Outlet | None = None
    arrays: Outlet | None = None
    window: Window | None = None

    @property
    def drawn(self) -> bool:
        """Whether pictures are drawn at all."""
        return self.pictures is not None or self.window is not None

    @property
    def closed(self) -> bool:
        """Whether whoever looks wants no more."""
        return self.window is not None and self.window.closed


def write_arrays(path: Path, results: Sequence[Any]) -> None:
    """Write whole outputs as a .npz.

    Raises:
        UsageError: The model does not give arrays.
    """
    from compiler.artifact import reading
    from compiler.tasks.arrays import files
    from compiler.tasks.arrays.task import NamedArray

    if not all(isinstance(result, NamedArray) for result in results):
        raise UsageError(
            "the model gives results, not arrays", where=f"arrays={path}", fix="leave it out: they are printed"
        )
    with reading(path, "the arrays cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
    files.write_arrays(path, {result.name: result.array for result in results})
