"""The kinds of input that tasks look at, and where the input of a compile lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.errors import UsageError

if TYPE_CHECKING:
    from compiler.config import CompileConfig
    from compiler.tasks.task import AnyTask


@dataclass(frozen=True)
class InputKind:
    """One kind of input. A task of one's own may bring another: nothing else lists them.

    Attributes:
        name: Such as `image`.
        suffixes: Of its files, in small letters.
    """

    name: str
    suffixes: tuple[str, ...]


IMAGE = InputKind("image", (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
POINTS = InputKind("points", (".bin",))
ARRAYS = InputKind("arrays", (".npy", ".npz"))


def locate_input(config: CompileConfig, task: AnyTask) -> Path:
    """The file that a config names as its `input`; the task's own sample where it names none.

    Raises:
        UsageError: It was named as another kind than the task looks at: `image=`, say, for a point cloud.
    """
    if config.input is None:
        return task.sample_source()
    kind = task.looks_at
    if config.input_kind not in (None, kind.name):
        raise UsageError(
            f"{config.model.name} does not look at {config.input_kind}",
            where=f"{config.input_kind}={config.input}",
            why=f"its task is {config.model.task}",
            fix=f"give input=<{kind.name}, {' or '.join(kind.suffixes)}>, or choose another model",
        )
    return Path(config.input)
