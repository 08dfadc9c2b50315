"""The verb `build`: build the engine of a bundle that was made where none could be built. Needs no torch."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from compiler.cli.arguments import Parser, add_config_dir
from compiler.cli.verb import Verb


def add_arguments(parser: Parser) -> None:
    """Add the bundle, and where classes of the user's own are named."""
    parser.add_argument("bundle", type=Path, metavar="<bundle>", help="the folder that compile printed")
    add_config_dir(parser, "a config folder of your own: the bundle may name the classes that its files name")


def run(given: Namespace) -> int:
    """Build, and print the proof."""
    from compiler.config.known_classes import modules_of
    from compiler.pipeline import build_bundle
    from compiler.report.console import console, print_outcome, progress

    modules = modules_of(given.config_dir)
    screen = console()
    with progress(screen) as listen:
        outcome = build_bundle(given.bundle, listen, modules)
    print_outcome(screen, outcome)
    return outcome.exit_code


VERB = Verb(
    name="build",
    help="build and prove the engine of a bundle that was made where it could not be built",
    usage="<bundle> [--config-dir DIR]",
    takes="one bundle, and --config-dir",
    examples=("build outputs/rtmpose/pose-detection_simcc_tensorrt-fp16_dynamic_256x192",),
    add_arguments=add_arguments,
    run=run,
)
