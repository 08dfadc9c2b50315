"""The verb `evaluate`: what bundles are worth on a data set, side by side. Needs torch with `reference=true` only."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.cli.arguments import (
    ANOTHER_FILE,
    OWN_CLASSES,
    Parser,
    add_opening,
    opening_of,
    output_files,
    share_in,
    truth_in,
    whole_in,
)
from compiler.cli.cautions import warn, warn_unless_proven
from compiler.cli.streams import error_stream, tell
from compiler.cli.verb import Verb
from compiler.config.search import config_folder
from compiler.errors import ExitCode, UsageError
from compiler.printable import on_one_line, printable

if TYPE_CHECKING:
    from compiler.evaluation import Evaluation, EvaluationOptions

SETTING = "metric."
OPTIONS: Mapping[str, tuple[str, str]] = {
    "dataset": (
        "dataset=<name or file>",
        "a name, annotations (.json, .txt), an OpenMMLab config (.py), a folder; config: what the OpenMMLab config "
        "validates on that the bundle was compiled from",
    ),
    "data": ("data=<folder>", "where the data set lies, if not where its config says"),
    "reference": ("reference=true", "evaluate the PyTorch network of the first bundle too, and compare with it"),
    "checkpoint": ("checkpoint=<file>|official", "with reference=true: its weights, if they are not found here"),
    "file": ("file=<file>.onnx", "with reference=true: the ONNX file of model=onnx, likewise"),
    "metric": ("metric=<name>[,<name>]", "measure this instead of what the data set calls for, such as coco or voc"),
    SETTING: (f"{SETTING}<setting>=<value>", "of the metrics, as OpenMMLab's classes call them: metric.classwise=true"),
    "bbox_file": ("bbox_file=<file>.json", "where a pose model looks for people; without it, the data set's own boxes"),
    "detector": ("detector=<bundle>", "a detector of people before pose models, or of text before readers: as a chain"),
    "bbox_thr": ("bbox_thr=<0 to 1>", "leave out people that score less, in bbox_file or by the detector"),
    "flip_test": ("flip_test=true|false", "whether a pose model looks at mirrored crops too; as compiled without it"),
    "limit": ("limit=<number>", "look at so many files only, spread evenly"),
    "workers": ("workers=<number>", "threads that read and prepare images; one a processor without it, and 8 at most"),
    "out": ("out=<file>.json", "write all numbers and settings"),
    "format_only": ("format_only=true", "write results as the data set's test server reads them, and measure nothing"),
    "latency": ("latency=true", "time the engines too, in turns: their sizes and median latencies stand below"),
    "show_dir": ("show_dir=<folder>", "draw what is found in each file; picture=<folder> is the same"),
    "worst": ("worst=<number>", "draw so many files only, the worst by their own loss"),
    "show_score_thr": (
        "show_score_thr=<0 to 1>",
        "draw what scores as much; 0.3 without it; score_threshold= is the same",
    ),
    "output": ("output=<folder>", "where results are kept; a run that was killed goes on from them"),
}


AS_IN_PREDICT = {"picture": "show_dir", "score_threshold": "show_score_thr"}
"""What predict calls an option that OpenMMLab calls otherwise; both are taken."""


def add_arguments(parser: Parser) -> None:
    """Add the bundles, the data set, and what is measured and kept."""
    text = "the folders that compile printed, of one task; the first is what the others are compared with"
    parser.add_argument("bundles", nargs="+", metavar="<bundle>", help=text)
    for name, (spelling, text) in OPTIONS.items():
        names = f"; names: {', '.join(_names())}" if name == "dataset" else ""
        alike = (other for other, own in AS_IN_PREDICT.items() if own == name)
        parser.add_option(name, *alike, spelling=spelling, text=f"{text}{names}")
    text = "with reference=true: run code of somebody's own that the bundle names as its network"
    parser.add_argument("--network-code", action="store_true", help=text)
    add_opening(parser, config_dir=f"{OWN_CLASSES}, and its dataset/ is looked into")


def _names() -> list[str]:
    """Of our data sets."""
    return sorted(file.stem for file in (config_folder() / "dataset").glob("*.yaml"))


def run(given: Namespace) -> int:
    """Print the table, and write what is asked for."""
    if "dataset" not in given.options:
        raise UsageError(
            "evaluate takes a data set", where="command line", fix="add dataset=<name or file>, such as dataset=coco"
        )
    options = _options(given)
    out = _output_file(given.options)
    for bundle in given.bundles:
        warn_unless_proven(Path(bundle), given.trust_changes)
    from compiler.evaluation import evaluate

    with _shown_progress() as progress:
        evaluation = evaluate(given.bundles, given.options["dataset"], options, progress)
    _print(evaluation)
    if out is not None:
        from compiler.artifact import reading

        with reading(out, "the numbers cannot be written", where=f"out={out}"):
            evaluation.save(out)
    return ExitCode.PROVEN


def _output_file(options: Mapping[str, str]) -> Path | None:
    """Where the numbers go; None where they are only printed.

    Raises:
        UsageError: Writing there would lose something that is no such file of an earlier run.
    """
    from compiler.evaluation import is_saved

    read = [options[name] for name in ("dataset", "bbox_file", "checkpoint", "file") if name in options]
    path = output_files(options, ("out",), read).get("out")
    if path is not None and path.exists() and not is_saved(path):
        what = "there is a file already, and it holds no numbers of an evaluation"
        raise UsageError(what, where=f"out={path}", fix=f"{ANOTHER_FILE}, or remove it")
    return path


def _options(given: Namespace) -> EvaluationOptions:
    """What the words say.

    Raises:
        UsageError: One is of another kind than its option.
    """
    from compiler.evaluation import EvaluationOptions

    words = _in_own_words(given.options)
    kinds: Mapping[str, Callable[[str, str], Any]] = {
        **dict.fromkeys(("reference", "flip_test", "format_only", "latency"), truth_in),
        **dict.fromkeys(("limit", "workers", "worst"), partial(whole_in, least=1)),
        **dict.fromkeys(("bbox_thr", "show_score_thr"), share_in),
        **dict.fromkeys(("data", "detector", "output", "show_dir"), lambda name, text: Path(text)),
        **dict.fromkeys(("bbox_file", "checkpoint", "file"), lambda name, text: text),
    }
    chosen = {name: kind(name, words[name]) for name, kind in kinds.items() if name in words}
    settings = {name.removeprefix(SETTING): _value(text) for name, text in words.items() if name.startswith(SETTING)}
    metrics = tuple(filter(None, words.get("metric", "").split(",")))
    return EvaluationOptions(
        **chosen, metrics=metrics, settings=settings, opening=opening_of(given), config_dir=given.config_dir
    )


def _in_own_words(options: Mapping[str, str]) -> dict[str, str]:
    """The options, each by the one name that it has here.

    Raises:
        UsageError: One is given by both of its names.
    """
    for other, own in AS_IN_PREDICT.items():
        if other in options and own in options:
            what = f"{other} and {own} are the same option"
            raise UsageError(what, where=f"{other}={options[other]}", fix="give one of them")
    return {AS_IN_PREDICT.get(name, name): text for name, text in options.items()}


def _value(text: str) -> Any:
    """What a text says as YAML."""
    from compiler.artifact import reading
    from compiler.config.plain_yaml import load_yaml

    with reading(text, "a setting cannot be read", where=f"{SETTING}...={text}"):
        return load_yaml(text)


@contextmanager
def _shown_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each bundle where the error stream is a terminal, and lines elsewhere, or without rich."""
    stream = error_stream()
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        yield told_in_lines()
        return
    if not stream.isatty():
        yield told_in_lines()
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars: dict[str, Any] = {}
    with Progress(*columns, console=Console(file=stream)) as live:

        def show(name: str, done: int, items: int) -> None:
            if name not in bars:
                bars[name] = live.add_task(on_one_line(name), total=items)
            live.update(bars[name], completed=done)

        yield show


def told_in_lines() -> Callable[[str, int, int], None]:
    """Tell how far each bundle is, in a line for each tenth of the way."""
    told: dict[str, int] = {}

    def tell_tenth(name: str, done: int, items: int) -> None:
        tenth = 10 * done // max(items, 1)
        if tenth > told.get(name, 0):
            tell(f"{on_one_line(name)}: {done} of {items}")
            told[name] = tenth

    return tell_tenth


def _print(evaluation: Evaluation) -> None:
    """Print the table on standard output, and on the error stream what one has to know about it."""
    print(printable(f"{evaluation.dataset}, {evaluation.items} files"))
    if any(column.numbers for column in evaluation.columns):
        print(printable(evaluation.table()), end="")
    for column in evaluation.columns:
        for path in column.written:
            print(printable(f"{column.name}: {path}"))
    for caution in evaluation.cautions:
        warn(caution)
    tell("results " + ", ".join(dict.fromkeys(on_one_line(str(one.results.parent)) for one in evaluation.columns)))


VERB = Verb(
    name="evaluate",
    help="measure bundles on a data set, side by side, and with them the PyTorch network that they were made from",
    usage="<bundle> [<bundle> ...] dataset=<name or file> [data=<folder>] [name=value ...] [flags]",
    takes="bundles and a data set",
    examples=(
        "evaluate outputs/detection_rtmdet-tiny_*/ dataset=coco data=data/coco reference=true",
        "evaluate <bundle> dataset=annotations.json data=images out=numbers.json",
        "evaluate <pose bundle> dataset=coco_person_keypoints bbox_file=person_detections.json flip_test=true",
        "evaluate <pose bundle> <pose bundle> dataset=coco_person_keypoints detector=<detector bundle>",
        "evaluate <bundle> dataset=voc2007 show_dir=worst worst=20",
    ),
    add_arguments=add_arguments,
    run=run,
)
