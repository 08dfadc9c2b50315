"""The verb `plan`: what stands in the way of building an engine, found without the backend and before it is tried."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compiler.backends import Obstacle
from compiler.config.compose import compose
from compiler.errors import ExitCode, UsageError
from compiler.openmmlab.own_model import own_model
from compiler.report.console import console, progress

USAGE = "python -m compiler plan +backend=tensorrt_rtx +model=rtmdet-tiny, with overrides as for compile"


def run(arguments: Sequence[str]) -> int:
    """Export what a config describes, and list what its backend cannot take of it."""
    overrides, config_dir = _parsed(arguments)
    with own_model(overrides) as folder:
        config = compose(overrides, config_dir, folder)

    from compiler.pipeline import find_obstacles

    screen = console()
    with progress(screen) as listen:
        obstacles = find_obstacles(config, listen)
    print_obstacles(screen, obstacles, config.backend["name"])
    return ExitCode.FAILED if obstacles else ExitCode.PROVEN


def print_obstacles(screen: Console, obstacles: Sequence[Obstacle], backend: str) -> None:
    """Print one row for each obstacle, or that there is none."""
    if not obstacles:
        screen.print(f"[bold green]nothing stands in the way[/] of an engine for {escape(backend)}")
        return
    table = Table("operator", "times", "first node", "why", "seen", "what to do", box=None, pad_edge=False)
    for obstacle in obstacles:
        first, *others = obstacle.node.split(", ")
        advice = obstacle.fix or "write a graph rewriter"
        cells = (obstacle.operator, str(1 + len(others)), first, obstacle.why, obstacle.seen, advice)
        table.add_row(*map(escape, cells))
    screen.print(table)
    screen.print(f"[bold red]{escape(backend)} cannot take this Program[/]: see what to do in the last column")


def _parsed(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """Return the overrides, and the folder after `--config-dir`."""
    overrides = list(arguments)
    config_dir = None
    if "--config-dir" in overrides[:-1]:
        at = overrides.index("--config-dir")
        config_dir = Path(overrides[at + 1])
        del overrides[at : at + 2]
    flags = [override for override in overrides if override.startswith("-")]
    if flags:
        raise UsageError("plan takes no such flag", where=" ".join(flags), fix=USAGE)
    return overrides, config_dir
