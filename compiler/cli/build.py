"""The verb `build`: build the engine of a bundle that was made where none could be built. Needs no torch."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from compiler.cli.arguments import Parser, add_config_dir, add_limits, add_trust_changes, limits_of
from compiler.cli.verb import Verb
from compiler.errors import UsageError


def add_arguments(parser: Parser) -> None:
    """Add the bundle, what the bundle itself does not decide, and where classes of the user's own are named."""
    parser.add_argument("bundle", type=Path, metavar="<bundle>", help="the folder that compile printed")
    parser.add_option(
        "input", spelling="input=<file>", text="prove the engine on this; without it, on the task's sample"
    )
    parser.add_option("box", spelling="box=x1,y1,x2,y2|boxes.json", text="where the objects are in it")
    parser.add_option("cache", spelling="cache=<folder>", text="where builders keep what they measured: outputs/.cache")
    add_limits(parser)
    add_config_dir(parser, "a config folder of your own: the bundle may name the classes that its files name")
    add_trust_changes(parser)


def run(given: Namespace) -> int:
    """Build, and print the proof."""
    from compiler.config.known_classes import modules_of
    from compiler.pipeline import build_bundle
    from compiler.report.console import console, print_outcome, progress

    screen, options = console(), given.options
    cache, source = (Path(options[name]) if name in options else None for name in ("cache", "input"))
    if source is None and "box" in options:
        raise UsageError("a box is somewhere in an input", where=f"box={options['box']}", fix="add input=<file>")
    modules = modules_of(given.config_dir)
    with progress(screen) as listen:
        outcome = build_bundle(
            given.bundle,
            listen,
            modules,
            cache=cache,
            source=source,
            box=options.get("box"),
            trust_changes=given.trust_changes,
            limits=limits_of(options),
        )
    print_outcome(screen, outcome)
    return outcome.exit_code


VERB = Verb(
    name="build",
    help="build and prove the engine of a bundle that was made where it could not be built",
    usage=(
        "<bundle> [input=<file> [box=...]] [cache=<folder>] [limits.<name>=<number>] [--config-dir DIR] "
        "[--trust-changes]"
    ),
    takes="one bundle",
    examples=("build outputs/rtmpose/pose-detection_simcc_tensorrt-fp16_dynamic_256x192",),
    add_arguments=add_arguments,
    run=run,
)
