"""The verb `build`: build the engine of a bundle that was made where none could be built. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compiler.errors import UsageError
from compiler.pipeline import build_bundle
from compiler.report.console import console, print_outcome, progress

USAGE = "python -m compiler build <bundle>"


def run(arguments: Sequence[str]) -> int:
    """Build, and print the proof."""
    if len(arguments) != 1:
        raise UsageError("build takes one bundle", where="command line", fix=USAGE)
    screen = console()
    with progress(screen) as listen:
        outcome = build_bundle(Path(arguments[0]), listen)
    print_outcome(screen, outcome)
    return outcome.exit_code
