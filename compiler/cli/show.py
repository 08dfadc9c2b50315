"""What Hydra shows of a config: `--cfg`, `--info`, `--hydra-help` and shell completion."""

from __future__ import annotations

import io
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path

from hydra import main as hydra_main
from omegaconf import DictConfig

from compiler.config.compose import compose_node
from compiler.config.overrides import expand
from compiler.config.search import CONFIG_NAME, HYDRA_VERSION, config_folder
from compiler.config.search_path import searched
from compiler.errors import ExitCode, UsageError
from compiler.openmmlab.translated_model import translated_model

PROGRAM = "deploy-compiler"
"""The installed command: Hydra completes commands, not `python -m`."""


def show(given: Namespace) -> ExitCode:
    """Let Hydra show what its flags ask for, with our spellings of overrides understood.

    Raises:
        UsageError: The config cannot be composed, or has no such part.
    """
    overrides = list(given.overrides)
    if given.shell_completion:
        return _hydra(["--shell-completion", *overrides], given.config_dir, None)
    with translated_model(overrides) as folder:
        if not given.hydra_help:
            compose_node(overrides, given.config_dir, folder)
        words = [*_flags(given), *expand(overrides, given.config_dir)]
        return _hydra(words, given.config_dir, folder)


def _flags(given: Namespace) -> list[str]:
    if given.hydra_help:
        return ["--hydra-help"]
    if not given.cfg:
        return ["--info", given.info]
    package = ["--package", given.package] if given.package else []
    return ["--cfg", given.cfg, *package, *(["--resolve"] if given.resolve else [])]


def _hydra(words: Sequence[str], config_dir: Path | None, model_folder: Path | None) -> ExitCode:
    """Run Hydra's own command line, which reads the process's arguments and may end the process."""
    before, said = sys.argv, io.StringIO()
    sys.argv = [PROGRAM, *words]
    hydra = hydra_main(config_path=str(config_folder()), config_name=CONFIG_NAME, version_base=HYDRA_VERSION)
    try:
        with searched(config_dir, model_folder), redirect_stderr(said):
            hydra(_nothing)()
    except SystemExit as ended:
        if ended.code:
            raise UsageError("Hydra cannot show this", where=" ".join(words), why=_reason(said.getvalue())) from ended
    finally:
        sys.argv = before
    return ExitCode.PROVEN


def _reason(said: str) -> str:
    """What Hydra says before it ends the process, without its traceback and its advice on tracebacks."""
    lines = [line for line in said.splitlines() if line.strip() and "HYDRA_FULL_ERROR" not in line]
    return lines[-1] if lines else ""


def _nothing(config: DictConfig) -> None:
    """What Hydra would run if it were to run something."""
