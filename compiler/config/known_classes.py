"""Which classes a file may name that comes from somebody else: ours, and those that the user has registered.

A config that the user composes may name any class. A bundle, or the config of somebody else's model, is data: what it
names is looked at as text, all of it, before a module is imported for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from compiler.config.config_dir import require_config_dir
from compiler.config.moved import present_target
from compiler.config.plain_yaml import load_checked_yaml
from compiler.config.plug_ins import installed_points, plug_in_folders
from compiler.config.yaml_files import check_yaml, parsing
from compiler.errors import CompileError

ENTRY_POINT_GROUP = "deploy_compiler.classes"
"""Of an installed distribution: each names a module whose classes a file may name."""
BACKENDS, TASKS = "compiler.backends", "compiler.tasks"
"""Our packages of what a bundle describes."""
NETWORKS, TAILS = "compiler.networks", "compiler.selection"
"""Those of what a model is made of, beside its task."""


def check_classes(
    node: Any, packages: Collection[str], file: Path | str, where: str, modules: Collection[str] = ()
) -> None:
    """Refuse a tree that names a class, however deep, which is neither ours nor registered. Nothing is imported.

    Args:
        node: Of config nodes, as a file has it.
        packages: Of ours, below which classes may lie.
        file: What the tree was read from.
        where: The tree's place in it.
        modules: The user's own, whose classes may be named too, beside those of installed distributions.

    Raises:
        CompileError: Naming the class, its place, and how it is registered.
    """
    for place, target in unknown_classes(node, packages, where, modules):
        raise _refusal(target, file, place)


def unknown_classes(
    node: Any, packages: Collection[str], where: str, modules: Collection[str] = ()
) -> Iterator[tuple[str, Any]]:
    """Yield the place of each class that is neither ours nor registered, and what the tree has there."""
    for place, target in _targets(node, where):
        module = _module_of(target)
        is_ours = any(f"{module}.".startswith(f"{package}.") for package in packages)
        if not is_ours and (not module or (module not in modules and module not in registered_modules())):
            yield place, target


def registered_modules() -> frozenset[str]:
    """The modules that installed distributions register, and those that the configs of plug-ins name."""
    registered = frozenset(point.module for point, _ in installed_points(ENTRY_POINT_GROUP))
    return registered.union(*map(modules_of, plug_in_folders().values()))


def modules_of(config_dir: Path | None) -> frozenset[str]:
    """The modules of the classes that a config folder of the user's names, in its models and its backends.

    Raises:
        UsageError: The folder does not exist, or a file in it cannot be read.
    """
    if config_dir is None:
        return frozenset()
    require_config_dir(config_dir)
    # Not the whole folder: where it is the current one, bundles of others may lie below it.
    found = [file for group in ("backend", "model") for file in sorted((config_dir / group).rglob("*.yaml"))]
    return frozenset(module for file in found if file.is_file() for module in modules_named(_read(file)))


def modules_named(node: Any) -> tuple[str, ...]:
    """The modules of the classes that a tree names, each once."""
    modules = (_module_of(target) for _, target in _targets(node, ""))
    return tuple(dict.fromkeys(filter(None, modules)))


def _read(file: Path) -> Any:
    with parsing(file):
        return load_checked_yaml(check_yaml(file))


def _targets(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the place of each class that a tree names, and what it is called there."""
    if isinstance(node, Mapping):
        for key, child in node.items():
            place = f"{path}.{key}" if path else str(key)
            if key == "_target_":
                yield place, child
            yield from _targets(child, place)
    elif isinstance(node, list | tuple):
        for index, child in enumerate(node):
            yield from _targets(child, f"{path}[{index}]")


def _module_of(target: Any) -> str:
    """The module of a class, where it is today; empty where the text is no dotted path."""
    if not isinstance(target, str) or not all(part.isidentifier() for part in target.split(".")):
        return ""
    return present_target(target).rpartition(".")[0]


def _refusal(target: Any, file: Path | str, where: str) -> CompileError:
    module = _module_of(target)
    register = (
        f"if it is yours, say so: --config-dir=<folder> whose model/ or backend/ names it, modules=['{module}'] in "
        f"Python, or the entry point {ENTRY_POINT_GROUP} of its distribution; see docs/security.md"
    )
    return CompileError(
        f"the class {str(target)!r:.100} is neither ours nor registered by you, and is not imported",
        where=f"{file}: {where}",
        why="the file may come from somebody else, and importing a module runs it",
        fix=register if module else "compile it again",
    )
