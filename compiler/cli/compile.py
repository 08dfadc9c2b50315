"""The verb `compile`: one config, or with `-m` every combination of several."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from compiler.config.compose import compose, compose_node
from compiler.config.overrides import expand
from compiler.config.search import config_loader, config_search_path
from compiler.errors import ExitCode
from compiler.openmmlab.own_model import own_model

CONFIG_NAME = "compile"


def run(arguments: Sequence[str]) -> int:
    """Compile, or show what Hydra's flags ask for: `--help`, `--cfg`, `--info`, shell completion."""
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    flags = parser.parse_args(list(arguments))
    config_dir = Path(flags.config_dir) if flags.config_dir else None
    if flags.help or flags.hydra_help or flags.cfg or flags.info or flags.shell_completion:
        return _show(flags, config_dir)
    if flags.multirun:
        from compiler.cli.sweep import sweep

        return sweep(flags.overrides, config_dir)
    return _compile(flags.overrides, config_dir)


def _compile(overrides: Sequence[str], config_dir: Path | None) -> int:
    with own_model(overrides) as folder:
        config = compose(overrides, config_dir, folder)

    from compiler.pipeline import compile_bundle
    from compiler.report.console import console, print_outcome, progress

    screen = console()
    with progress(screen) as listen:
        outcome = compile_bundle(config, listen)
    print_outcome(screen, outcome)
    return outcome.exit_code


def _show(flags: Namespace, config_dir: Path | None) -> int:
    """Let Hydra show a config, help or completions, with our spellings of overrides understood."""
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import get_args_parser

    # Hydra completes installed commands, not `python -m`.
    sys.argv[0] = "deploy-compiler"
    overrides = list(flags.overrides)
    with own_model(overrides) as folder:
        if flags.cfg:
            compose_node(overrides, config_dir, folder)
        if not flags.shell_completion:
            flags.overrides = expand(overrides, config_loader(config_dir).get_group_options("backend"), config_dir)
        hydra = Hydra.create_main_hydra2("compiler", config_search_path(config_dir, folder))
        if flags.help:
            hydra.app_help(CONFIG_NAME, get_args_parser(), flags)
        elif flags.hydra_help:
            hydra.hydra_help(CONFIG_NAME, get_args_parser(), flags)
        elif flags.cfg:
            hydra.show_cfg(CONFIG_NAME, flags.overrides, flags.cfg, flags.package, flags.resolve)
        elif flags.info:
            hydra.show_info(flags.info, CONFIG_NAME, flags.overrides)
        else:
            hydra.shell_completion(CONFIG_NAME, flags.overrides)
    return ExitCode.PROVEN
