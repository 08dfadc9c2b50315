"""Find what a user's own code makes a network with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from compiler.artifact.source_code import import_recorded
from compiler.errors import UsageError, nearest

WHERE = "model.target"
_TIMM = "timm"


def find_target(target: str) -> Callable[..., Any]:
    """Import what a target names: the current folder is looked in first.

    Args:
        target: `package.module:callable`, `package.module.Class`, or `timm:<model>`.

    Raises:
        UsageError: The target is not of that form, cannot be imported, or is not callable.
    """
    module_name, name = split_target(target)
    module = _imported(module_name)
    if module_name == _TIMM:
        return partial(module.create_model, name)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = [key for key, value in vars(found).items() if callable(value) and not key.startswith("_")]
            raise UsageError(f"{module_name} has no '{name}'", where=WHERE, fix=nearest(name, public))
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{target} is not callable", where=WHERE, why=f"it is a {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def split_target(target: str) -> tuple[str, str]:
    """The module and the name in it.

    Raises:
        UsageError: There are not both.
    """
    module, _, name = target.partition(":") if ":" in target else target.rpartition(".")
    if not module or not name:
        raise UsageError(
            f"'{target}' names no module and callable" if target else "the network's target is missing",
            where=WHERE,
            fix="write model.target=package.module:callable, such as nets:build for build() in nets.py",
        )
    return module, name


def module_of(target: str) -> str:
    """The name of the module that a target is in."""
    return split_target(target)[0]


def _imported(name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_recorded(name)
    except Exception as error:  # the user's module can fail in any way
        hint = (
            "install it: pip install timm"
            if name == _TIMM
            else f"modules are looked for in {here} and where packages are"
        )
        raise UsageError(
            f"the module {name} cannot be imported", where=WHERE, why=f"{type(error).__name__}: {error}", fix=hint
        ) from error
