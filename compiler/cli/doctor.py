"""The verb `doctor`: what is installed, and what each backend can do here."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from compiler.artifact import installed_version
from compiler.backends import build_backend
from compiler.config import compose
from compiler.config.search import config_loader
from compiler.errors import ExitCode, UsageError
from compiler.report.console import console

LIBRARIES = (
    "deploy-compiler",
    "torch",
    "onnx",
    "onnxscript",
    "onnx-graphsurgeon",
    "onnxruntime",
    "hydra-core",
    "numpy",
)
USAGE = "python -m compiler doctor [--config-dir DIR]"


def run(arguments: Sequence[str]) -> int:
    """Print the libraries and the backends."""
    config_dir = _config_dir(arguments)
    screen = console()
    libraries = Table("library", "version", box=None, pad_edge=False)
    libraries.add_row("python", platform.python_version())
    for name in LIBRARIES:
        libraries.add_row(name, installed_version(name) or "[red]not installed[/]")
    screen.print(libraries, "")

    backends = Table("backend", "version", "runs on", "precisions", "problem", box=None, pad_edge=False)
    for name in config_loader(config_dir).get_group_options("backend"):
        backend = build_backend(compose([f"backend={name}"], config_dir).backend)
        probe = backend.probe()
        devices, precisions = ", ".join(probe.devices), ", ".join(backend.PRECISIONS)
        problem = probe.problem or probe.build_problem or probe.run_problem
        backends.add_row(name, probe.version or "[red]none[/]", devices, precisions, escape(problem))
    screen.print(backends)
    return ExitCode.PROVEN


def _config_dir(arguments: Sequence[str]) -> Path | None:
    match list(arguments):
        case []:
            return None
        case ["--config-dir", folder]:
            return Path(folder)
        case _:
            raise UsageError("doctor takes no such argument", where=" ".join(arguments), fix=USAGE)
