"""What `plan` prints: what a backend cannot take of a Program."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from compiler.backends import Obstacle
from compiler.report.text import shown


def print_obstacles(screen: Console, obstacles: Sequence[Obstacle], backend: str) -> None:
    """Print one row for each obstacle, or that there is none."""
    if not obstacles:
        screen.print(f"[bold green]nothing stands in the way[/] of an engine for {shown(backend)}")
        return
    table = Table("operator", "times", "first node", "why", "seen", "what to do", box=None, pad_edge=False)
    for obstacle in obstacles:
        first, *others = obstacle.node.split(", ")
        advice = obstacle.fix or "write a graph rewriter"
        cells = (obstacle.operator, str(1 + len(others)), first, obstacle.why, obstacle.seen, advice)
        table.add_row(*map(shown, cells))
    screen.print(table)
    screen.print(f"[bold red]{shown(backend)} cannot take this Program[/]: see what to do in the last column")
