"""Where the bases of a config lie: beside it, or among the configs of an OpenMMLab package."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from compiler.openmmlab.reader.budget import Refusal

_EXTERNAL = re.compile(r"(\w+)::([^:]+)")


def find_base(name: str, child: Path, packages: Mapping[str, Path]) -> tuple[Path, str | None]:
    """The file that an entry of `_base_` means, and the package it comes from.

    Args:
        name: The entry: a path from the child's folder, or `package::path` from the package's `.mim/configs`.
        child: The file that has the entry.
        packages: The `.mim/configs` folders of packages. One that is not among them is looked for where Python
            finds packages, and is not imported.

    Returns:
        The file, and the package's name or None if the base is the child's own.

    Raises:
        Refusal: The package is unknown, or the path leaves its configs.
    """
    if "::" not in name:
        return child.parent / name, None
    match = _EXTERNAL.fullmatch(name)
    if match is None:
        raise Refusal(f"the base {name[:200]!r} is not of the form package::path/of/config.py")
    package, path = match.groups()
    folder = packages.get(package) or _installed(package)
    file = folder / path
    if "\0" in path or not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder)):
        raise Refusal(f"the base {name[:200]!r} is not among the configs of {package}")
    return file, package


def _installed(package: str) -> Path:
    try:
        spec = find_spec(package)
    except ValueError:  # such as __main__, which has none
        spec = None
    for folder in (spec and spec.submodule_search_locations) or ():
        configs = Path(folder) / ".mim/configs"
        if configs.is_dir():
            return configs
    raise Refusal(
        f"a base comes from {package}, which is not installed here",
        f"install {package}, or give the config that training wrote into work_dirs: it needs no base",
    )
