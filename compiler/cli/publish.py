"""The verb `publish`: a checkpoint without what only training needs, named after its content and the day."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from compiler.cli.arguments import Parser
from compiler.cli.verb import Verb
from compiler.errors import ExitCode
from compiler.printable import on_one_line


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


def run(given: Namespace) -> int:
    """Publish, and say what was dropped and what that saves."""
    from compiler.checkpoint.publishing import publish
    from compiler.report.numbers import size_text

    found = publish(given.source, given.target, given.options.get("weights"))
    average = ", the average that MMEngine's EMAHook kept" if found.is_average else ""
    print(f"weights   {found.place or 'all of the file'}{average}")
    print(f"dropped   {on_one_line(', '.join(found.dropped)) or 'nothing'}")
    share = found.size / found.size_before
    print(f"size      {size_text(found.size_before)} before, {size_text(found.size)} now ({share:.0%})")
    print(f"published {on_one_line(str(found.path))}")
    return ExitCode.PROVEN


VERB = Verb(
    name="publish",
    help="write the weights of a checkpoint alone, named after their digest and the day as OpenMMLab does",
    usage="<in>.pth [<out>.pth] [weights=<key>]",
    takes="one checkpoint, and a name for what is written",
    examples=("publish work_dirs/mine/epoch_40.pth", "publish work_dirs/mine/epoch_40.pth mine.pth"),
    add_arguments=add_arguments,
    run=run,
)
