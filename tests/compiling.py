"""Compile a model as a user does, for tests of what the bundle is good for."""

from __future__ import annotations

from pathlib import Path

from compiler import pipeline
from compiler.config import compose
from compiler.events import Event
from compiler.report.outcome import Outcome
from tests.conftest import CommandLine


def compile_bundle(command_line: CommandLine, cache: Path, *overrides: str) -> Path:
    """Compile in a command line's folder, with a stage cache, and return the bundle."""
    run = command_line(*overrides, f"cache={cache}")
    assert run.returncode == 0, run.stdout + run.stderr
    config = compose(list(overrides))
    return command_line.folder / config.bundle


def compile_here(
    folder: Path, cache: Path, *overrides: str, configs: Path | None = None
) -> tuple[Outcome, list[Event]]:
    """Compile in this process, which is quicker; return what came out, and what a listener heard."""
    heard: list[Event] = []
    config = compose([*overrides, f"output={folder}", f"cache={cache}"], configs)
    return pipeline.compile_bundle(config, heard.append), heard
