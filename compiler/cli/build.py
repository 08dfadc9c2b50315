"""The verb `build`: build the engine of a bundle that was made where none could be built. Needs no torch."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from compiler.cli.arguments import Parser, add_opening, opening_of
from compiler.cli.verb import Verb
from compiler.errors import UsageError


def add_arguments(parser: Parser) -> None:
    """Add the bundle, what the bundle itself does not decide, and where classes of the user's own are named."""
    parser.add_argument("bundle", type=Path, metavar="<bundle>", help="the folder that compile printed")
    parser.add_option(
        "input", spelling="input=<file>", text="prove the engine on this; without it, on the task's sample"
    )
    parser.add_option("box", spelling="box=x1,y1,x2,y2|boxes.json", text="where the objects are in it")
    add_opening(parser, engine_code=False, trial=False)


def run(given: Namespace) -> int:
    """Build, and print the proof."""
    from compiler.pipeline import build_bundle
    from compiler.report.console import console, print_outcome, progress

    screen, options = console(), given.options
    opening, source = opening_of(given), Path(options["input"]) if "input" in options else None
    if source is None and "box" in options:
        raise UsageError("a box is somewhere in an input", where=f"box={options['box']}", fix="add input=<file>")
    with progress(screen) as listen:
        outcome = build_bundle(
            given.bundle,
            listen,
            opening.modules,
            cache=opening.cache,
            source=source,
            box=options.get("box"),
            trust_changes=opening.trust_changes,
            limits=opening.limits,
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
