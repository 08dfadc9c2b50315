"""The config folder of the user's that `--config-dir` names."""

from __future__ import annotations

from pathlib import Path

from compiler.artifact.reading import reading
from compiler.errors import UsageError


def require_config_dir(folder: Path) -> None:
    """Check that a config folder of the user's is there.

    Raises:
        UsageError: It is not.
        CompileError: It, or a group in it, cannot be read.
    """
    with reading(folder, "the config folder cannot be read", where=f"--config-dir {folder}"):
        if not folder.is_dir():
            raise UsageError(
                f"the config folder {folder} does not exist",
                where="--config-dir",
                fix="name a folder that holds model/ or backend/ files",
            )
        for group in folder.iterdir():
            if group.is_dir():
                list(group.iterdir())
