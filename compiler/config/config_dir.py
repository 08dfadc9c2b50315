"""Config folders beside ours: the one of the user's that `--config-dir` names, and those of plug-ins."""

from __future__ import annotations

from pathlib import Path

from compiler.config.search import config_folder
from compiler.errors import UsageError


def require_config_dir(folder: Path) -> None:
    """Check that a config folder of the user's is there, and takes the name of none of ours.

    Raises:
        UsageError: It is not, or does.
        CompileError: It, or a group in it, cannot be read.
    """
    from compiler.artifact.reading import reading  # beside what takes long to import: --help does not

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
    require_names_of_its_own(folder, "--config-dir")


def require_names_of_its_own(folder: Path, where: str) -> None:
    """Check that no file of a config folder stands for one of ours, which would be found in its place.

    Args:
        folder: Of somebody's configs.
        where: Who named it.

    Raises:
        UsageError: One does, and holds something else.
    """
    ours = config_folder()
    for file in sorted(ours.rglob("*.yaml")):
        name = file.relative_to(ours)
        theirs = folder / name
        if theirs.is_file() and theirs.read_bytes() != file.read_bytes():
            raise UsageError(
                f"the config {theirs} has the name of one of ours, which is found first",
                where=where,
                fix=f"call it {name.with_stem(f'my_{name.stem}')}, and choose it by that name",
            )
