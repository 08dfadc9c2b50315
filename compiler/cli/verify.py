"""The verb `verify`: prove a bundle again, on this machine. Needs no torch."""

from __future__ import annotations

import warnings
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.cli.arguments import Parser, add_json, add_opening, opening_of
from compiler.cli.results import print_result
from compiler.cli.verb import Verb
from compiler.errors import Caution

if TYPE_CHECKING:
    from compiler.pipeline.verification import Verification


def add_arguments(parser: Parser) -> None:
    """Add the bundle, and what opening it asks for."""
    parser.add_argument("bundle", type=Path, metavar="<bundle>", help="the folder that compile printed, wherever it is")
    add_opening(parser)
    add_json(parser)


def run(given: Namespace) -> int:
    """Prove, and print what was compared and on which machines."""
    from compiler.pipeline.verification import verify_bundle

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Caution)  # that the machine is another is what is printed
        found = verify_bundle(given.bundle, opening_of(given))
    return print_result(found, _lines, as_json=given.json)


def _lines(found: Verification) -> Iterator[str]:
    """What it came to, one fact a line."""
    from compiler.report.numbers import error_text

    worst, proof = found.proof.worst, found.proof
    then = f", {error_text(found.then.relative_error)} when it was compiled" if found.then else ""
    yield f"{proof.stage}, input {worst.input}, against the {proof.reference} as it was recorded"
    yield f"  worst      {error_text(worst.relative_error)} {worst.yardstick} in {worst.output}{then}"
    if proof.decoded:
        yield f"  decoded    {error_text(proof.worst_decoded)} {found.unit}"
    yield f"  allowed    {found.tolerance}{f': looser than usual, {found.usual}' if found.is_looser else ''}"
    yield f"  stands on  {proof.weakest}"
    yield f"  made on    {_machine(found.proven_on) or 'a machine that was not written down'}"
    yield f"  here       {found.difference or 'the same'}"
    for name, (then_version, now) in found.libraries.items():
        yield f"  {name:10} {then_version} then, {now or 'not installed'} here"
    within = "within its tolerance" + (", which is looser than usual" if found.is_looser else "")
    yield f"not proven here: {found.problem}" if found.problem else f"proven here: the engine is {within}"


def _machine(machine: object) -> str:
    return ", ".join(f"{name} {value}" for name, value in machine.items()) if isinstance(machine, dict) else ""


VERB = Verb(
    name="verify",
    help="prove a bundle again where it lies now, on the input that it keeps (needs no torch)",
    usage=(
        "<bundle> [cache=<folder>] [limits.<name>=<number>] [--config-dir DIR] [--engine-code] [--trust-changes] "
        "[--json]"
    ),
    takes="one bundle",
    examples=("verify outputs/rtmpose/pose-detection_simcc_onnxruntime_dynamic_256x192",),
    add_arguments=add_arguments,
    run=run,
)
