"""The verb `compile`: one config, or with `-m` every combination of several."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from compiler.config.compose import compose, compose_node
from compiler.config.overrides import expand
from compiler.config.search import config_folder, config_loader
from compiler.errors import ExitCode


def run(arguments: Sequence[str]) -> int:
    """Compile, or show what Hydra's flags ask for: `--help`, `--cfg`, `--info`, shell completion."""
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    flags = parser.parse_args(list(arguments))
    config_dir = Path(flags.config_dir) if flags.config_dir else None
    if flags.help or flags.hydra_help or flags.cfg or flags.info or flags.shell_completion:
        return _show(flags, config_dir)
    if flags.multirun:
        from compiler.sweep import sweep

        return sweep(flags.overrides, config_dir)
    return _compile(flags.overrides, config_dir)


def _compile(overrides: Sequence[str], config_dir: Path | None) -> int:
    config = compose(overrides, config_dir)

    from compiler.pipeline import compile
    from compiler.report.console import console, print_outcome, progress

    screen = console()
    with progress(screen) as listen:
        outcome = compile(config, listen)
    print_outcome(screen, outcome)
    return outcome.exit_code


def _show(flags: Namespace, config_dir: Path | None) -> int:
    """Let Hydra show a config, help or completions, with our spellings of overrides understood."""
    from hydra._internal.utils import _run_hydra, get_args_parser

    if flags.cfg:
        compose_node(flags.overrides, config_dir)
    if not flags.shell_completion:
        backends = config_loader(config_dir).get_group_options("backend")
        flags.overrides = expand(flags.overrides, backends, config_dir)
    # Hydra completes installed commands, not `python -m`.
    sys.argv[0] = "deploy-compiler"
    _run_hydra(
        args=flags,
        args_parser=get_args_parser(),
        task_function=lambda config: None,
        config_path=str(config_folder()),
        config_name="compile",
    )
    return ExitCode.PROVEN
