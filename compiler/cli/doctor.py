"""The verb `doctor`: what is installed, what each backend can do here; an environment for one that needs its own."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.cli.arguments import Parser, add_config_dir, add_json
from compiler.cli.streams import tell
from compiler.cli.verb import Verb
from compiler.errors import UsageError, nearest
from compiler.printable import on_one_line

if TYPE_CHECKING:
    from compiler.doctor.diagnosis import BackendState, Diagnosis


def run(given: Namespace) -> int:
    """Print what was found out; or make an environment first."""
    from compiler.doctor.diagnosis import diagnose

    if given.make:
        _make(given.make, given.config_dir)
    names = given.options["backend"].split(",") if "backend" in given.options else ()
    found = diagnose(
        given.config_dir, names, smoked=given.smoke, trying=lambda name: tell(f"trying {on_one_line(name)}")
    )
    if given.json:
        from compiler.cli.json_text import json_text

        print(json_text(found.to_dict()))
        return found.exit_code
    for line in _page(found):
        print(line)
    return found.exit_code


def _make(name: str, config_dir: Path | None) -> None:
    """Make the environment that a backend lives in."""
    from compiler.doctor.diagnosis import backend_nodes

    nodes = backend_nodes(config_dir)
    if name not in nodes:
        raise UsageError(f"there is no backend '{name}'", where=f"--make {name}", fix=nearest(name, nodes))
    environment = nodes[name]().ENVIRONMENT
    if environment is None:
        raise UsageError(f"{name} needs no environment of its own", where="--make", fix="see python -m compiler doctor")
    python = environment.make(lambda step: tell(f"  {on_one_line(step)}"))
    tell(f"made {on_one_line(str(python))}")


def _page(found: Diagnosis) -> Iterator[str]:
    """Everything, one section after the other, an empty line between them."""
    from compiler.report.numbers import size_text

    versions = [("python", found.python["version"]), *found.libraries.items()]
    yield from _table([("library", "version"), *((name, version or "not installed") for name, version in versions)])
    yield ""
    rows = [
        (one.name, one.version or "none", ", ".join(one.devices), ", ".join(one.precisions)) for one in found.backends
    ]
    head, *lines = _table([("backend", "version", "runs on", "precisions"), *rows])
    yield head
    for line, one in zip(lines, found.backends, strict=True):
        yield line
        yield from (f"{'':15}{on_one_line(note)}" for note in _notes(one))
    yield ""
    processor = found.processor
    features = ", ".join(processor.features) or "nothing known"
    yield f"processor      {on_one_line(processor.name)}, {processor.kind}: {features}"
    yield from (f"  {precision:13}{meaning}" for precision, meaning in processor.meanings.items())
    yield ""
    names = [f"{gpu.index}: {gpu.name} ({gpu.capability})" for gpu in found.gpus.found]
    yield f"GPU            {on_one_line(', '.join(names) or found.gpus.problem)}"
    yield ""
    sizes = [(one.what, "none" if one.size is None else size_text(one.size), str(one.path)) for one in found.kept]
    yield from _table([("kept", "size", "where"), *sizes])
    if found.advice:
        yield ""
        yield "to install"
        yield from (f"  {on_one_line(line)}" for line in found.advice)
    if found.problem:
        yield ""
        yield f"problem: {on_one_line(found.problem)}"


def _notes(one: BackendState) -> Iterator[str]:
    """What is said of a backend below its line."""
    if one.problem:
        yield one.problem
    if one.smoke is not None and one.smoke.detail != one.problem:
        seconds = f" ({one.smoke.seconds:.1f} s)" if one.smoke.seconds else ""
        yield f"{one.smoke.status}: {one.smoke.detail}{seconds}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with their columns aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(on_one_line(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _add_arguments(parser: Parser) -> None:
    parser.add_argument("--smoke", action="store_true", help="build and run a tiny network with each backend: a minute")
    add_json(parser)
    text = "look at these backends alone; the exit status is 0 where one of them can be used"
    parser.add_option("backend", spelling="backend=<name>,...", text=text)
    parser.add_argument("--make", metavar="BACKEND", help="install what a backend needs into an environment of its own")
    add_config_dir(parser)


VERB = Verb(
    name="doctor",
    help="what is installed, what each backend and this processor can do, and what to install for the rest",
    usage="[--smoke] [--json] [backend=<name>,...] [--make BACKEND] [--config-dir DIR]",
    takes="flags and backend=, and nothing else",
    examples=("doctor", "doctor --smoke backend=openvino", "doctor --json", "doctor --make rknn"),
    add_arguments=_add_arguments,
    run=run,
)
