"""The verb `doctor`: what is installed, what each backend can do here; an environment for one that needs its own."""

from __future__ import annotations

import platform
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.cli.arguments import Parser, add_config_dir
from compiler.cli.verb import Verb
from compiler.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from compiler.backends import Backend


def run(given: Namespace) -> int:
    """Print the libraries and the backends, or make an environment."""
    from compiler.report.console import console

    screen = console()
    if given.make:
        _make(given.make, given.config_dir, screen)
    screen.print(_libraries(), "")
    screen.print(_backends(given.config_dir))
    return ExitCode.PROVEN


def _make(name: str, config_dir: Path | None, screen: Console) -> None:
    """Make the environment that a backend lives in."""
    from compiler.report.text import shown

    environment = _backend(name, config_dir).ENVIRONMENT
    if environment is None:
        raise UsageError(f"{name} needs no environment of its own", where="--make", fix="see python -m compiler doctor")
    python = environment.make(lambda step: screen.print(f"  {shown(step)}", overflow="fold"))
    screen.print(f"made {shown(str(python))}", "", overflow="fold")


def _backend(name: str, config_dir: Path | None) -> Backend:
    """A backend with the options of its config, whatever it is asked to build by the others."""
    from compiler.backends import build_backend
    from compiler.config.compose import compose_node, to_config

    return build_backend(to_config(compose_node([f"backend={name}"], config_dir), check=False).backend)


def _libraries() -> Table:
    from rich.table import Table

    from compiler.artifact import installed_version
    from compiler.stages.tools import LIBRARIES

    table = Table("library", "version", box=None, pad_edge=False)
    table.add_row("python", platform.python_version())
    for name in ("deploy-compiler", *LIBRARIES, "hydra-core"):
        table.add_row(name, installed_version(name) or "[red]not installed[/]")
    return table


def _backends(config_dir: Path | None) -> Table:
    from rich.table import Table

    from compiler.config.search import config_loader
    from compiler.report.text import shown

    table = Table("backend", "version", "runs on", "precisions", "problem", box=None, pad_edge=False)
    for name in config_loader(config_dir).get_group_options("backend"):
        backend = _backend(name, config_dir)
        probe = backend.probe()
        devices, precisions = ", ".join(probe.devices), ", ".join(backend.PRECISIONS)
        problem = probe.problem or probe.build_problem or probe.run_problem
        version = shown(probe.version) or "[red]none[/]"
        table.add_row(shown(name), version, *map(shown, (devices, precisions, problem)))
    return table


def _add_arguments(parser: Parser) -> None:
    parser.add_argument("--make", metavar="BACKEND", help="install what a backend needs into an environment of its own")
    add_config_dir(parser)


VERB = Verb(
    name="doctor",
    help="what is installed, and what each backend can do here",
    usage="[--make BACKEND] [--config-dir DIR]",
    takes="--make, --config-dir and nothing else",
    examples=("doctor", "doctor --make rknn", "doctor --config-dir my_configs"),
    add_arguments=_add_arguments,
    run=run,
)
