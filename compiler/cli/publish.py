"""The verb `publish`: a checkpoint without what only training needs, named after its content and the day."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.cli.arguments import Parser, add_json
from compiler.cli.json_text import json_text
from compiler.cli.streams import tell
from compiler.cli.verb import Verb
from compiler.errors import ExitCode
from compiler.printable import on_one_line, printable

if TYPE_CHECKING:
    from compiler.checkpoint.publishing import Published


def add_arguments(parser: Parser) -> None:
    """Add the checkpoint, what is written, and where the weights are."""
    place = parser.add_argument
    place("source", type=Path, metavar="<in>.pth", help="a checkpoint as a trainer leaves it, or .safetensors")
    text = "what the file is called, to which digest and date are added; without it, as the checkpoint"
    place("target", nargs="?", type=Path, metavar="<out>.pth", help=text)
    text = (
        "where the weights are: state_dict (which MMEngine's EMAHook fills with the average), ema_state_dict, ...; "
        "the first that is there without it"
    )
    parser.add_option("weights", spelling="weights=<key>", text=text)
    add_json(parser)


def run(given: Namespace) -> int:
    """Publish, and print the path; what was dropped and what that saves goes to the error stream."""
    from compiler.checkpoint.publishing import publish

    found = publish(given.source, given.target, given.options.get("weights"))
    if given.json:
        print(json_text({**asdict(found), "path": str(found.path), "dropped": list(found.dropped)}))
        return ExitCode.PROVEN
    for line in _lines(found):
        tell(line)
    print(printable(str(found.path)))
    return ExitCode.PROVEN


def _lines(found: Published) -> Iterator[str]:
    """What was dropped and what that saves, one fact a line."""
    from compiler.report.numbers import size_text

    average = ", the average that MMEngine's EMAHook kept" if found.is_average else ""
    yield f"weights   {found.place or 'all of the file'}{average}"
    yield f"dropped   {on_one_line(', '.join(found.dropped)) or 'nothing'}"
    share = found.size / found.size_before
    yield f"size      {size_text(found.size_before)} before, {size_text(found.size)} now ({share:.0%})"


VERB = Verb(
    name="publish",
    help="write the weights of a checkpoint alone, named after their digest and the day as OpenMMLab does",
    usage="<in>.pth [<out>.pth] [weights=<key>] [--json]",
    takes="one checkpoint, and a name for what is written",
    examples=("publish work_dirs/mine/epoch_40.pth", "publish work_dirs/mine/epoch_40.pth mine.pth"),
    add_arguments=add_arguments,
    run=run,
)
