"""The verb `plan`: what stands in the way of building an engine, found without the backend and before it is tried."""

from __future__ import annotations

from argparse import Namespace

from compiler.cli.composing import add_overrides
from compiler.cli.verb import Verb
from compiler.errors import ExitCode


def run(given: Namespace) -> int:
    """Export what a config describes, and list what its backend cannot take of it."""
    from compiler.openmmlab.translated_model import composed

    config = composed(given.overrides, given.config_dir)

    from compiler import pipeline
    from compiler.report.console import console, progress
    from compiler.report.obstacles import print_obstacles

    screen = console()
    with progress(screen) as listen:
        obstacles = pipeline.find_obstacles(config, listen)
    print_obstacles(screen, obstacles, config.backend["name"])
    return ExitCode.FAILED if obstacles else ExitCode.PROVEN


VERB = Verb(
    name="plan",
    help="what the backend cannot take of the Program, before anything is built; takes the overrides of compile",
    usage="[override ...] [--config-dir DIR]",
    takes="overrides, and --config-dir",
    examples=("plan +backend=tensorrt_rtx +model=rtmdet-tiny tail=native",),
    add_arguments=add_overrides,
    run=run,
    composes=True,
)
