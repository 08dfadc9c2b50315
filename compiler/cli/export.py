"""The verb `export`: write a bundle in the layout that an inference server reads. Needs no torch."""

from __future__ import annotations

from argparse import Namespace

from compiler.cli.arguments import Parser, add_opening, one_of, opening_of, truth
from compiler.cli.cautions import cautions_shown
from compiler.cli.verb import Verb
from compiler.errors import ExitCode

TARGETS = ("triton",)


def add_arguments(parser: Parser) -> None:
    """Add what is exported to, the bundle, and where to."""
    place = parser.add_argument
    text = "triton: the model repository of Triton Inference Server, whose engines OpenVINO Model Server reads too"
    place("target", type=one_of("export", TARGETS), metavar="triton", help=text)
    place("bundle", metavar="<bundle>", help="the folder that compile printed")
    place("repository", metavar="<repository>", help="the folder of the server's models")
    parser.add_option("name", spelling="name=<name>", text="of the model; without it, the name of the bundle's folder")
    text = "replace models of ours though they were changed since, or are of another bundle"
    parser.add_option("replace", spelling="replace=true", text=text)
    add_opening(parser, cache=False, trial=False)


def run(given: Namespace) -> int:
    """Write the models, and print their folders."""
    from compiler.serving import export_triton

    opening = opening_of(given)
    with cautions_shown():
        folders = export_triton(
            given.bundle,
            given.repository,
            given.options.get("name", ""),
            sorted(opening.modules),
            engine_code=opening.engine_code,
            trust_changes=opening.trust_changes,
            limits=opening.limits,
            replace=truth(given.options, "replace"),
        )
    print("\n".join(map(str, folders)))
    return ExitCode.PROVEN


VERB = Verb(
    name="export",
    help="write a bundle as models that Triton Inference Server and OpenVINO Model Server read (needs no torch)",
    usage=(
        "triton <bundle> <repository> [name=<name>] [replace=true] [limits.<name>=<number>] [--config-dir DIR] "
        "[--engine-code] [--trust-changes]"
    ),
    takes="triton, a bundle and a repository",
    examples=("export triton <bundle> models/", "export triton <bundle> models/ name=people"),
    add_arguments=add_arguments,
    run=run,
)
