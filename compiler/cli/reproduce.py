"""The verb `reproduce`: compile a bundle again from what it says of itself, and say what differs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.cli.arguments import Parser, add_json, add_opening, opening_of
from compiler.cli.results import print_result
from compiler.cli.streams import error_stream
from compiler.cli.verb import Verb
from compiler.errors import ExitCode

if TYPE_CHECKING:
    from compiler.pipeline.reproduction import Reproduction

LOOKED_FOR = "; where it is left out, it is looked for"
FILES = {
    "checkpoint": ("<path>|official", f"the weights, or official to download the published ones{LOOKED_FOR}"),
    "input": ("<path>", f"the real input of the proof{LOOKED_FOR}"),
    "box": ("<path>", f"the file of boxes in it{LOOKED_FOR}"),
    "file": ("<path>", f"the ONNX file, of model=onnx{LOOKED_FOR}"),
    "calibration": ("<path>", "what int8 was calibrated on; it has to be given where there was such"),
}
"""What a bundle is made from: how each is spelt, and what it is."""


def add_arguments(parser: Parser) -> None:
    """Add the bundle, where the new one goes, and what it is made from."""
    parser.add_argument("bundle", type=Path, metavar="<bundle>", help="the folder that compile printed, wherever it is")
    text = "where the new bundle goes, which may not be there yet; outputs/reproduced without it"
    parser.add_option("output", spelling="output=<folder>", text=text)
    for name, (value, text) in FILES.items():
        parser.add_option(name, spelling=f"{name}={value}", text=text)
    text = "run code of somebody's own that the bundle names as its network, such as model.target=nets:build"
    parser.add_argument("--network-code", action="store_true", help=text)
    add_opening(parser, engine_code=False, cache=False, trial=False)
    add_json(parser)


def run(given: Namespace) -> int:
    """Compile again, and print what is the same and what is not."""
    from compiler.pipeline.origins import OPTIONS
    from compiler.pipeline.reproduction import REPRODUCED, reproduce_bundle
    from compiler.report.console import console, print_outcome, progress

    screen, options = console(error_stream() if given.json else None), given.options
    with progress(screen) as listen:
        found = reproduce_bundle(
            given.bundle,
            listen,
            opening_of(given),
            given={key: options[option] for key, option in OPTIONS.items() if option in options},
            output=options.get("output", REPRODUCED),
        )
    print_outcome(screen, found.outcome)
    return print_result(found, _lines, as_json=given.json)


def _lines(found: Reproduction) -> Iterator[str]:
    """What is the same and what is not, one fact a line."""
    yield f"the same   {', '.join(found.same)}"
    for name, said in found.differing.items():
        yield f"differs    {name} {said}"
    yield from _pairs("made from ", {name: (a[:16], b[:16]) for name, (a, b) in found.made_from.items()})
    yield from _pairs("version   ", found.versions)
    if found.exit_code == ExitCode.PROVEN:
        yield "reproduced: every file is the same byte by byte, but for those that hold times and paths of a run"
    elif found.differing:
        yield f"not reproduced: {', '.join(found.differing)} {'is' if len(found.differing) == 1 else 'are'} other now"
    else:
        yield "reproduced, and not proven: see above"


def _pairs(label: str, pairs: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    for name, (before, now) in pairs.items():
        yield f"{label} {name}: {before or 'none'} before, {now or 'none'} now"


VERB = Verb(
    name="reproduce",
    help="compile a bundle again from what it says of itself into a folder of its own, and say what differs",
    usage=(
        "<bundle> [output=<folder>] [checkpoint=<path>|official] [input=<path>] [box=<path>] [file=<path>] "
        "[calibration=<path>] [limits.<name>=<number>] [--config-dir DIR] [--network-code] [--trust-changes] [--json]"
    ),
    takes="one bundle",
    examples=("reproduce <bundle>", "reproduce <bundle> checkpoint=epoch_40.pth output=again"),
    add_arguments=add_arguments,
    run=run,
)
