"""What the verbs share that compose a config from overrides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.cli.arguments import Parser, add_config_dir
from compiler.config import CompileConfig
from compiler.config.class_names import NAME_KEYS
from compiler.config.moved import INPUT_ALIASES
from compiler.config.search import config_loader
from compiler.openmmlab.translated_model import composed

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

__all__ = ["DEPLOY_NAME", "add_overrides", "choices", "composed"]

NOT_COMPILED = ("hydra", "dataset")
"""Groups that are no choice of a compile: Hydra's own, and what `evaluate` reads."""
DEPLOY_NAME = "<task>_<algo>_<backend>[-<precision>]_<dynamic|static>[_<shape>[-<largest shape>]]"


def add_overrides(parser: Parser) -> None:
    """Add the overrides of a config, and where else its choices are found."""
    text = "group=option chooses, key=value sets what `compile --cfg job` shows; a leading + is allowed"
    parser.keys = (*(field.name for field in fields(CompileConfig)), *INPUT_ALIASES, *NAME_KEYS, "deploy")
    parser.add_argument("overrides", nargs="*", metavar="override", help=text)
    add_config_dir(parser)


def choices(config_dir: Path | None) -> str:
    """What can be composed, a line for each group."""
    loader = config_loader(config_dir)
    # What other verbs choose among, such as data sets, is no part of the config that is composed.
    composed_groups = {field.name for field in fields(CompileConfig)} | NAME_KEYS.keys()
    groups = [group for group in sorted(_groups(loader)) if group.partition("/")[0] in composed_groups]
    options = {group: loader.get_group_options(group) for group in groups}
    lines = [f"{group}: {', '.join(sorted(names))}" for group, names in options.items() if names]
    return "\n  ".join(["choices (group=option):", *lines, f"deploy: {DEPLOY_NAME}"]) + "\n"


def _groups(loader: ConfigLoader, parent: str = "") -> Iterator[str]:
    for name in loader.list_groups(parent):
        group = f"{parent}/{name}" if parent else name
        if group not in NOT_COMPILED:
            yield group
            yield from _groups(loader, group)
