"""The verb `help`: what the command line can do, or what one of its verbs takes."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from compiler.cli.arguments import COMMAND, Parser, add_config_dir
from compiler.cli.verb import Verb
from compiler.errors import ExitCode

HEAD = f"""Compile a trained PyTorch vision model into a proven inference engine.

usage: {COMMAND} [verb] [arguments ...]

verbs ({COMMAND} <verb> --help says more):
"""

TAIL = """
with every verb:
  --debug      show tracebacks
  --version    print the version

exit status: 0 done and proven, 1 failed, 2 wrong usage, 3 built but not proven
"""


def add_arguments(parser: Parser) -> None:
    """Add the verb."""
    parser.add_argument("verb", nargs="?", metavar="<verb>", help="whose arguments to show; without it, all verbs")
    add_config_dir(parser)


def run(given: Namespace) -> int:
    """Print the page."""
    from compiler.cli.verbs import verb_named

    print(
        _whole_page(given.config_dir) if given.verb is None else verb_named(given.verb).page(given.config_dir), end=""
    )
    return ExitCode.PROVEN


def _whole_page(config_dir: Path | None) -> str:
    """The verbs, then what compile takes: it is what happens without one."""
    from compiler.cli.verbs import VERBS

    width = max(map(len, VERBS)) + 2
    verbs = "".join(f"  {verb.name:{width}}{verb.help}\n" for verb in VERBS.values())
    return f"{HEAD}{verbs}\n{VERBS['compile'].page(config_dir)}{TAIL}"


VERB = Verb(
    name="help",
    help="show this, or what a verb takes",
    usage="[<verb>]",
    takes="a verb",
    examples=("help", "help predict"),
    add_arguments=add_arguments,
    run=run,
)
