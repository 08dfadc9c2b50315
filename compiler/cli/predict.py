"""The verb `predict`: run a bundle, or two bundles that read text together. Needs no torch."""

from __future__ import annotations

import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.cli.arguments import (
    INPUT_LIMITS,
    TRIAL_LIMITS,
    Parser,
    add_config_dir,
    add_limits,
    add_trust_changes,
    limits_of,
)
from compiler.cli.json_text import json_text
from compiler.cli.streams import tell
from compiler.cli.verb import Verb
from compiler.errors import Caution, CompileError, ExitCode, UsageError
from compiler.printable import on_one_line

if TYPE_CHECKING:
    from compiler.runtime import Predictor
    from compiler.runtime.text_spotting import TextSpotter


def add_arguments(parser: Parser) -> None:
    """Add the bundles, the input, and where results go."""
    place = parser.add_argument
    place("bundle", metavar="<bundle>", help="the folder that compile printed; of text, the detector's")
    place(
        "recogniser", nargs="?", metavar="<text recogniser>", help="a second bundle, which reads what the first finds"
    )
    place("source", metavar="<input>", help="an image, a point cloud (.bin) or arrays (.npz)")
    parser.add_option(
        "box", spelling="box=x1,y1,x2,y2|boxes.json", text="where people or words are; without it, the whole image"
    )
    add_limits(parser, {**INPUT_LIMITS, **TRIAL_LIMITS})
    parser.add_option("picture", spelling="picture=<file>", text="draw the results into this image")
    spelling = "score_threshold=<0 to 1>"
    parser.add_option("score_threshold", spelling=spelling, text="draw what scores as much as this")
    text = "open an engine that brings code for the processor, such as a version-compatible one: it runs what it says"
    parser.add_argument("--engine-code", action="store_true", help=text)
    parser.add_option("cache", spelling="cache=<folder>", text="keep what opening takes long for: outputs/.cache")
    add_config_dir(parser, "a config folder of your own: a bundle may name the classes that its files name")
    parser.add_option("arrays", spelling="arrays=<file>.npz", text="write the outputs of a model that gives arrays")
    add_trust_changes(parser)


def run(given: Namespace) -> int:
    """Print the results as JSON, and draw them where a picture is asked for."""
    for bundle in filter(None, (given.bundle, given.recogniser)):
        _warn_unless_proven(Path(bundle), given.trust_changes)
    with _cautions_shown():
        predictor, results = _predicted(given)
    if "arrays" in given.options:
        _write_arrays(Path(given.options["arrays"]), results)
    print(json_text([result.to_dict() for result in results]))
    if "picture" in given.options:
        from compiler.tasks.images import write_image

        write_image(given.options["picture"], predictor.draw(given.source, results))
        _tell_hidden(predictor, results)
    return ExitCode.PROVEN


def _warn(text: str) -> None:
    """Print what a user has to know about a result, in a line: standard output is JSON."""
    tell(f"warning: {on_one_line(text)}")


def _warn_unless_proven(bundle: Path, trust_changes: bool) -> None:
    """Tell that an engine is not proven, where its bundle says so."""
    from compiler.artifact import lock_of, require_files
    from compiler.report import Report
    from compiler.report.report import JSON_FILE

    with suppress(CompileError, OSError):  # what opens the bundle says what is wrong with it
        require_files(bundle, (JSON_FILE,), lock_of(bundle, trust_changes))
        report = Report.load(bundle)
        if report.problem:
            _warn(f"{bundle} is not proven: {report.problem}")


def _tell_hidden(predictor: Predictor | TextSpotter, results: Sequence[Any]) -> None:
    """Tell of a picture in which nothing is drawn of what was found."""
    task = getattr(predictor, "task", None)
    least = getattr(task, "score_threshold", None)
    scores = [one.score for one in results if isinstance(getattr(one, "score", None), float)]
    if least is not None and scores and max(scores) < least:
        _warn(
            f"none of the {len(scores)} results is drawn: the best scores {max(scores):.3g}, not {least:g}; "
            f"score_threshold={max(scores) / 2:.2g} draws more"
        )


@contextmanager
def _cautions_shown() -> Iterator[None]:
    """Print what is cautioned of while a bundle is open."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", Caution)
        plain = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, Caution):
                _warn(str(message))
            else:
                plain(message, category, *place, **more)

        warnings.showwarning = show
        yield


def _predicted(given: Namespace) -> tuple[Predictor | TextSpotter, list[Any]]:
    """What runs, and what it finds."""
    from compiler import runtime
    from compiler.config.known_classes import modules_of

    box, limits = given.options.get("box"), limits_of(given.options)
    modules = modules_of(given.config_dir)
    trusted = {"engine_code": given.engine_code, "trust_changes": given.trust_changes}
    if given.recogniser is None:
        predictor = runtime.open(given.bundle, modules, limits=limits, cache=given.options.get("cache"), **trusted)
        predictor = _with_threshold(predictor, given.options.get("score_threshold"))
        return predictor, predictor(given.source, box)
    _refuse_second_input(given)
    if "score_threshold" in given.options:
        raise UsageError("words are all drawn", where="score_threshold", fix="leave it out")
    if box is not None:
        raise UsageError("the text detector finds the boxes itself", where=f"box={box}", fix="leave it out")
    from compiler.runtime.text_spotting import open_spotter

    cache = given.options.get("cache")
    spotter = open_spotter(given.bundle, given.recogniser, modules, limits=limits, cache=cache, **trusted)
    return spotter, spotter(given.source)


def _refuse_second_input(given: Namespace) -> None:
    """Refuse an image in the place of a second bundle."""
    from compiler.artifact.lock import looks_like_a_bundle

    second = Path(given.recogniser)
    if second.is_file() and not looks_like_a_bundle(second.parent):
        raise UsageError(
            "predict takes one input",
            where=f"{given.recogniser} {given.source}",
            why="the first of two names behind a bundle is another bundle, which reads the text that is found",
            fix="run it for each input; in Python, runtime.open(bundle) is opened once and called for each",
        )


def _with_threshold(predictor: Predictor, given: str | None) -> Predictor:
    """A predictor that draws what scores as much.

    Raises:
        UsageError: It is no score, or the model's results have none.
    """
    if given is None:
        return predictor
    where = f"score_threshold={given}"
    if not hasattr(predictor.task, "score_threshold"):
        raise UsageError(f"results of {predictor.task.name} are all drawn", where=where, fix="leave it out")
    try:
        threshold = float(given)
    except ValueError:
        threshold = nan
    if not 0 <= threshold <= 1:
        raise UsageError(f"{given} is no score", where=where, fix="give a number from 0 to 1")
    task: Any = predictor.task
    return replace(predictor, task=replace(task, score_threshold=threshold))


def _write_arrays(path: Path, results: Sequence[Any]) -> None:
    """Write whole outputs as a .npz.

    Raises:
        UsageError: The model does not give arrays.
    """
    from compiler.tasks.arrays.files import write_arrays
    from compiler.tasks.arrays.task import NamedArray

    if not all(isinstance(result, NamedArray) for result in results):
        raise UsageError(
            "the model gives results, not arrays", where=f"arrays={path}", fix="leave it out: they are printed"
        )
    write_arrays(path, {result.name: result.array for result in results})


VERB = Verb(
    name="predict",
    help="run a bundle, or a text detector's and a recogniser's together; prints JSON, and draws (needs no torch)",
    usage=(
        "<bundle> [<text recogniser>] <input> [box=x1,y1,x2,y2|boxes.json] [picture=<file>] [score_threshold=<0 to 1>] "
        "[arrays=<file>.npz] [cache=<folder>] [limits.<name>=<number>] [--config-dir DIR] [--engine-code] "
        "[--trust-changes]"
    ),
    takes="a bundle, or two that read text, and an input",
    examples=(
        "predict <bundle> street.jpg box=80,20,310,460 picture=drawn.jpg",
        "predict <text detector> <text recogniser> page.jpg picture=read.jpg",
    ),
    add_arguments=add_arguments,
    run=run,
)
