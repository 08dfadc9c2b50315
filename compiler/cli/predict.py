"""The verb `predict`: run a bundle, or two of which the second looks at what the first finds. Needs no torch."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from compiler.cli.arguments import Parser, add_opening, limits_of, number, opening_of, share_in, truth, whole_in
from compiler.cli.cautions import cautions_shown, warn, warn_unless_proven
from compiler.cli.verb import Verb
from compiler.errors import CompileError, ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from compiler.cli.predicting import Runner
    from compiler.runtime import Predictor
    from compiler.runtime.inputs import Input

LARGEST_BATCH = 4096
CHAIN_OPTIONS: Mapping[str, str] = {
    "label": "of two bundles: the class that the second looks at; people, where it finds key points",
    "score_threshold": "of two bundles: what detections score more than that it looks at; 0.3 without it",
    "iou_threshold": "of two bundles: how much of two detections may overlap, the better one is kept; 0.3 without it",
}
"""By the names in `ChainOptions`."""


def add_arguments(parser: Parser) -> None:
    """Add the bundles, the inputs, and where results go."""
    parser.add_argument("bundle", metavar="<bundle>", help="the folder that compile printed")
    text = (
        "images, point clouds (.bin), arrays (.npz), videos, folders of them, patterns such as 'photos/**/*.jpg', or - "
        "for what standard input lists, one a line; a second bundle before them looks at what the first finds"
    )
    parser.add_argument("inputs", nargs="+", metavar="<input>", help=text)
    text = "where people or words are; without it, the whole image"
    parser.add_option("box", spelling="box=x1,y1,x2,y2|boxes.json", text=text)
    text = "how many of several inputs go through the engine together; 1 without it"
    parser.add_option("batch", spelling="batch=<number>", text=text)
    text = "how many of several inputs are looked at at once, by engines of ONNX Runtime and OpenVINO; 1 without it"
    parser.add_option("streams", spelling="streams=<number>", text=text)
    text = "draw the results into this image or video, or those of several inputs into this folder"
    parser.add_option("picture", spelling="picture=<file>|<folder>/", text=text)
    parser.add_option("show", spelling="show=true|false", text="show the drawn results in a window")
    spelling = "score_threshold=<0 to 1>"
    parser.add_option("score_threshold", spelling=spelling, text="draw what scores as much as this")
    for option, text in CHAIN_OPTIONS.items():
        parser.add_option(f"chain.{option}", spelling=f"chain.{option}=<value>", text=text)
    text = "write the outputs of a model that gives arrays, those of several inputs into a folder"
    parser.add_option("arrays", spelling="arrays=<file>.npz|<folder>/", text=text)
    add_opening(parser)


def run(given: Namespace) -> int:
    """Print the results as JSON, and draw them where a picture or a window is asked for."""
    bundles, words = _bundles_and_inputs(given)
    window = None
    if truth(given.options, "show"):
        from compiler.cli.windows import Window

        window = Window()
    for bundle in bundles:
        warn_unless_proven(Path(bundle), given.trust_changes)
    with cautions_shown():
        return _predict(_opened(bundles, given), words, given.options, window)


def _bundles_and_inputs(given: Namespace) -> tuple[list[str], list[str]]:
    """The bundle, or the two of a chain, and what they look at.

    Raises:
        UsageError: There is nothing to look at, or a box where a detector finds them.
    """
    first, *rest = given.inputs
    if not _is_bundle(Path(first)):
        chained = [name for name in given.options if name.startswith("chain.")]
        if chained:
            raise UsageError("there is one bundle, and no chain", where=f"{chained[0]}=", fix="name a second bundle")
        return [given.bundle], given.inputs
    if not rest:
        raise UsageError("predict takes an input", where=f"{given.bundle} {first}", why="they are two bundles")
    if "box" in given.options:
        where = f"box={given.options['box']}"
        raise UsageError("the detector finds the boxes itself", where=where, fix="leave it out")
    return [given.bundle, first], rest


def _is_bundle(path: Path) -> bool:
    from compiler.artifact.lock import looks_like_a_bundle

    with suppress(OSError, ValueError):  # no file can be called so
        return looks_like_a_bundle(path)
    return False


def _opened(bundles: Sequence[str], given: Namespace) -> Runner:
    """What runs."""
    from compiler import runtime
    from compiler.config.instantiate import instantiate

    options = given.options
    streams = whole_in("streams", options.get("streams", "1"), least=1, most=runtime.MOST_STREAMS)
    opening = replace(opening_of(given), streams=streams)
    threshold = options.get("score_threshold")
    if len(bundles) == 1:
        return _with_threshold(opening.predictor(bundles[0]), threshold)
    chosen = {name: options[f"chain.{name}"] for name in CHAIN_OPTIONS if f"chain.{name}" in options}
    values = {name: text if name == "label" else number(text) for name, text in chosen.items()}
    chain_options = instantiate(values, runtime.ChainOptions, "chain") if values else None
    chain = runtime.chain(opening.predictor(bundles[0]), opening.predictor(bundles[1]), chain_options)
    if not isinstance(chain, runtime.DetectionChain):
        if threshold is not None:
            raise UsageError("words are all drawn", where="score_threshold", fix="leave it out")
        return chain
    return replace(chain, second=_with_threshold(chain.second, threshold))


def _predict(runner: Runner, words: Sequence[str], options: Mapping[str, str], window: Any) -> int:
    """Look at each input."""
    from compiler.cli.outlets import Outlet, Outlets
    from compiler.cli.predicting import predict_many, predict_one
    from compiler.runtime import Predictor
    from compiler.runtime.inputs import Input, find_inputs, is_single, is_video

    kind = (runner if isinstance(runner, Predictor) else runner.detector).task.looks_at
    many = not is_single(words, kind) and not is_video(words, kind)
    places = {name: Outlet.of(name, options[name], many) for name in ("picture", "arrays") if name in options}
    outlets = Outlets(places.get("picture"), places.get("arrays"), window)
    if not is_single(words, kind):
        found = find_inputs(words, kind, _standard_input())
        inputs = _with_box(found, options.get("box"))
        batch = whole_in("batch", options.get("batch", "1"), least=1, most=LARGEST_BATCH)
        return predict_many(runner, inputs, outlets, limits_of(options), batch)
    (word,) = words
    results = predict_one(runner, Input(Path(word), Path(Path(word).name), options.get("box")), outlets)
    if outlets.drawn:
        _tell_hidden(runner, results)
    return ExitCode.PROVEN


def _standard_input() -> TextIO:
    """Standard input, in which paths may stand that are no text in UTF-8."""
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    return sys.stdin


def _with_box(inputs: Iterable[Input | CompileError], box: str | None) -> Iterator[Input | CompileError]:
    """The inputs; those that have no box of their own, with this one."""
    for one in inputs:
        yield one if isinstance(one, CompileError) or one.box is not None else replace(one, box=box)


def _tell_hidden(runner: Runner, results: Sequence[Any]) -> None:
    """Tell of a picture in which nothing is drawn of what was found."""
    task = getattr(runner, "task", None)
    least = getattr(task, "score_threshold", None)
    scores = [one.score for one in results if isinstance(getattr(one, "score", None), float)]
    if least is not None and scores and max(scores) < least:
        warn(
            f"none of the {len(scores)} results is drawn: the best scores {max(scores):.3g}, not {least:g}; "
            f"score_threshold={max(scores) / 2:.2g} draws more"
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
    threshold = share_in("score_threshold", given)
    task: Any = predictor.task
    return replace(predictor, task=replace(task, score_threshold=threshold))


VERB = Verb(
    name="predict",
    help="run a bundle, or one and another that looks at what it finds; prints JSON, and draws (needs no torch)",
    usage=(
        "<bundle> [<second bundle>] <input>... [box=x1,y1,x2,y2|boxes.json] [picture=<file>|<folder>/] "
        "[show=true|false] [batch=<number>] [streams=<number>] [score_threshold=<0 to 1>] [chain.<name>=<value>] "
        "[arrays=<file>.npz|<folder>/] [cache=<folder>] [limits.<name>=<number>] [--config-dir DIR] "
        "[--engine-code] [--trust-changes]"
    ),
    takes="a bundle, or two, and what they look at",
    examples=(
        "predict <bundle> street.jpg box=80,20,310,460 picture=drawn.jpg",
        "predict <bundle> photos/ street.mp4 picture=drawn/",
        "predict <detector> <pose estimator> street.jpg picture=people.jpg",
        "predict <text detector> <text recogniser> page.jpg picture=read.jpg",
    ),
    add_arguments=add_arguments,
    run=run,
)
