"""The config folders of installed plug-ins: their backends and models are chosen as ours are."""

from __future__ import annotations

from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.errors import CompileError
from compiler.packages import package_folders

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINT_GROUP = "deploy_compiler.configs"
"""Of an installed distribution: each names a package that holds `backend/` or `model/` files."""

_METADATA = ("*.dist-info", "*.egg-info", "EGG-INFO")
"""Of a distribution: the folders that say what it brings."""


def plug_in_folders() -> dict[str, Path]:
    """The config folder of each plug-in, by the name of its distribution. Nothing is imported.

    Raises:
        CompileError: A distribution names a package that is not there.
    """
    return {distribution: _folder(point, distribution) for point, distribution in installed_points(ENTRY_POINT_GROUP)}


def installed_points(group: str) -> list[tuple[EntryPoint, str]]:
    """The entry points of a group, in the order of their names, each with the name of its distribution."""
    folders = [folder for folder in package_folders() if _may_register(Path(folder), group)]
    if not folders:
        return []
    from importlib.metadata import distributions  # it takes a third of the time that --help may

    found = {
        (point.name, point.value): (point, distribution.name)
        for distribution in distributions(path=folders)
        for point in distribution.entry_points
        if point.group == group
    }
    return [found[key] for key in sorted(found)]


def _may_register(folder: Path, group: str) -> bool:
    """Whether a distribution in a folder of packages, or in an archive of them, has a word like that of a group."""
    try:
        if not folder.is_dir():
            return folder.is_file()
        found = (file for pattern in _METADATA for file in folder.glob(f"{pattern}/entry_points.txt"))
        return any(group.encode() in file.read_bytes() for file in found)
    except OSError:  # this user may not look there, and Python imports nothing from there either
        return False


def _folder(point: EntryPoint, distribution: str) -> Path:
    """Where the package lies that an entry point names: importing it would run it, also for `--help`."""
    first, *rest = point.value.split(".")
    # The second finds editable installations too: by finders of their own, or where the current folder is one.
    spec = PathFinder.find_spec(first, package_folders()) or find_spec(first)
    for part in rest:
        spec = spec and PathFinder.find_spec(part, spec.submodule_search_locations)
    if spec is None or not spec.submodule_search_locations:
        raise CompileError(
            f"the plug-in {distribution} brings no configs",
            where=f"its entry point {ENTRY_POINT_GROUP}: {point.name} = {point.value}",
            why=f"there is no package {point.value}",
            fix=f"repair or uninstall {distribution}",
        )
    return Path(next(iter(spec.submodule_search_locations)))
