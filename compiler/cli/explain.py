"""The verb `explain`: which rewriters fired, where and with what effect; which did not, and why; what stays in fp32."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from compiler.cli.arguments import Parser, add_trust_changes
from compiler.cli.verb import Verb
from compiler.errors import ExitCode


def add_arguments(parser: Parser) -> None:
    """Add the bundle."""
    parser.add_argument("bundle", type=Path, metavar="<bundle>", help="the folder that compile printed")
    add_trust_changes(parser)


def run(given: Namespace) -> int:
    """Print the ledger of a bundle."""
    from compiler.artifact import lock_of, recover_folder, require_files
    from compiler.report import Report
    from compiler.report.console import console
    from compiler.report.ledger import print_ledger
    from compiler.report.report import JSON_FILE

    recover_folder(given.bundle)
    require_files(given.bundle, (JSON_FILE,), lock_of(given.bundle, given.trust_changes))
    print_ledger(console(), Report.load(given.bundle))
    return ExitCode.PROVEN


VERB = Verb(
    name="explain",
    help="which rewriters fired, where and with what effect; which were skipped, and why; what stays in fp32",
    usage="<bundle> [--trust-changes]",
    takes="one bundle",
    examples=("explain outputs/rtmpose/pose-detection_simcc_onnxruntime_dynamic_256x192",),
    add_arguments=add_arguments,
    run=run,
)
