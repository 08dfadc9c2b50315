"""What can be chosen, by the names of folders and files: Hydra, which composes it, is not needed to list it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from compiler.config.config_dir import require_config_dir
from compiler.config.plug_ins import plug_in_folders
from compiler.config.search import config_folder

_NO_GROUP = "__pycache__"


def group_options(group: str, config_dir: Path | None = None) -> list[str]:
    """The choices of a group such as `model`: ours, those of the user's folder and those of plug-ins.

    Raises:
        UsageError: The user's folder does not exist.
    """
    folders = [folder / group for folder in config_folders(config_dir)]
    files = (file for folder in folders if folder.is_dir() for file in folder.iterdir())
    return sorted({file.stem for file in files if file.suffix == ".yaml" and file.is_file()})


def groups(config_dir: Path | None = None) -> list[str]:
    """The groups that can be chosen from, those within others too, such as `model` or `model/mine`."""
    return sorted({group for folder in config_folders(config_dir) for group in _groups(folder)})


def config_folders(config_dir: Path | None = None) -> list[Path]:
    """The folders that choices are found in: ours first."""
    if config_dir is not None:
        require_config_dir(config_dir)
    return [config_folder(), *([config_dir] if config_dir else []), *plug_in_folders().values()]


def _groups(folder: Path, parent: str = "") -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != _NO_GROUP:
            group = f"{parent}{entry.name}"
            yield group
            yield from _groups(entry, f"{group}/")
