"""The verb `check`: whether a bundle is all that it was when it was made, and with a key by whom."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from compiler.cli.arguments import Parser
from compiler.cli.verb import Verb
from compiler.errors import ExitCode


def add_arguments(parser: Parser) -> None:
    """Add the bundle and the key."""
    parser.add_argument("bundle", type=Path, metavar="<bundle>", help="a bundle, its signature beside it")
    parser.add_option("key", spelling="key=<file>.pem", text="the public key of who signed it")


def run(given: Namespace) -> int:
    """Check every file against the lock, and the signature against the key."""
    from compiler.artifact.lock import require_unchanged

    lock = require_unchanged(given.bundle)
    whole = f"{len(lock.files)} files are as lock.json says"
    if "key" not in given.options:
        print(f"{whole}; who wrote that is not known without key=<public key>")
        return ExitCode.PROVEN
    from compiler.artifact.signature import check_signature, signature_file

    check_signature(given.bundle, Path(given.options["key"]))
    print(f"{whole}, and they are what was signed with this key: {signature_file(given.bundle)}")
    return ExitCode.PROVEN


VERB = Verb(
    name="check",
    help="whether a bundle is all that it was when it was made, and with a key by whom (needs the extra sign then)",
    usage="<bundle> [key=<file>.pem]",
    takes="one bundle, and a key",
    examples=("check <bundle>", "check <bundle> key=public.pem"),
    add_arguments=add_arguments,
    run=run,
)
