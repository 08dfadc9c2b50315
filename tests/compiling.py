"""Compile a model as a user does, for tests of what the bundle is good for."""

from __future__ import annotations

from pathlib import Path

from compiler.config import compose
from tests.conftest import CommandLine


def compile_bundle(command_line: CommandLine, cache: Path, *overrides: str) -> Path:
    """Compile in a command line's folder, with a stage cache, and return the bundle."""
    run = command_line(*overrides, f"cache={cache}")
    assert run.returncode == 0, run.stdout + run.stderr
    config = compose(list(overrides))
    return command_line.folder / config.output / config.model.name / str(config.deploy_name)
