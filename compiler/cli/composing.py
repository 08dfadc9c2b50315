"""What the verbs share that compose a config from overrides."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from compiler.cli.arguments import Parser, add_config_dir
from compiler.config.class_names import NAME_KEYS
from compiler.config.moved import INPUT_ALIASES
from compiler.config.options import group_options, groups
from compiler.config.schema import CompileConfig

DEPLOY_NAME = "<task>_<algo>_<backend>[-<precision>]_<dynamic|static>[_<shape>[-<largest shape>]]"


def add_overrides(parser: Parser) -> None:
    """Add the overrides of a config, and where else its choices are found."""
    text = "group=option chooses, key=value sets what `compile --cfg job` shows; a leading + is allowed"
    parser.keys = (*(field.name for field in fields(CompileConfig)), *INPUT_ALIASES, *NAME_KEYS, "deploy")
    parser.add_argument("overrides", nargs="*", metavar="override", help=text)
    add_config_dir(parser)


def choices(config_dir: Path | None) -> str:
    """What can be composed, a line for each group."""
    # What other verbs choose among, such as data sets, is no part of the config that is composed.
    composed_groups = {field.name for field in fields(CompileConfig)} | NAME_KEYS.keys()
    known = [group for group in groups(config_dir) if group.partition("/")[0] in composed_groups]
    options = {group: group_options(group, config_dir) for group in known}
    lines = [f"{group}: {', '.join(sorted(names))}" for group, names in options.items() if names]
    return "\n  ".join(["choices (group=option):", *lines, f"deploy: {DEPLOY_NAME}"]) + "\n"
