"""The verb `sign`: say with a key who made a bundle."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from compiler.cli.arguments import Parser
from compiler.cli.verb import Verb
from compiler.errors import ExitCode, UsageError


def add_arguments(parser: Parser) -> None:
    """Add the bundle and the key."""
    parser.add_argument("bundle", type=Path, metavar="<bundle>", help="the folder that compile printed")
    parser.add_option("key", spelling="key=<file>.pem", text="the private key, of an elliptic curve")


def run(given: Namespace) -> int:
    """Sign the bundle where it is as it was made, and say where the signature is."""
    from compiler.artifact.lock import require_unchanged
    from compiler.artifact.signature import sign

    if "key" not in given.options:
        raise UsageError("sign needs a private key", where="command line", fix=VERB.usage)
    lock = require_unchanged(given.bundle)
    signature = sign(given.bundle, Path(given.options["key"]))
    print(f"signed {len(lock.files)} files and their lock: {signature}")
    return ExitCode.PROVEN


VERB = Verb(
    name="sign",
    help="sign a bundle with a private key, into a file beside it (needs the extra sign)",
    usage="<bundle> key=<file>.pem",
    takes="one bundle and a key",
    examples=("sign outputs/rtmpose/pose-detection_simcc_onnxruntime_dynamic_256x192 key=private.pem",),
    add_arguments=add_arguments,
    run=run,
)
