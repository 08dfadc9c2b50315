"""The verb `profile`: what bundles take, in milliseconds and bytes, side by side. Needs no torch."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.cli.arguments import Parser, add_opening, opening_of, output_files, whole_in, words_in
from compiler.cli.cautions import warn, warn_unless_proven
from compiler.cli.json_text import json_text
from compiler.cli.streams import tell
from compiler.cli.verb import Verb
from compiler.errors import ExitCode
from compiler.printable import on_one_line

if TYPE_CHECKING:
    from compiler.config.sizes import Size
    from compiler.profiling import Profile, Progress

ITERATIONS, WARMUP = 200, 50
"""Those of `compiler.profiling.profile`, which takes longer to import than to be helped with."""


def add_arguments(parser: Parser) -> None:
    """Add the bundles, what they look at, what is measured, and where results go."""
    text = (
        "the folders that compile printed; then images, clouds (.bin), arrays (.npz), folders of them, or patterns "
        "such as 'photos/**/*.jpg'"
    )
    parser.add_argument("paths", nargs="+", metavar="<bundle> ... [<input> ...]", help=text)
    spelling = "shape=<height>x<width>[,...]"
    parser.add_option("shape", spelling=spelling, text="of the engine's input; without it, what it is best at")
    parser.add_option(
        "batch", spelling="batch=<number>[,...]", text="how many items at once; without it, the usual number"
    )
    parser.add_option("iterations", spelling="iterations=<number>", text=f"runs that count; {ITERATIONS} without it")
    parser.add_option("warmup", spelling="warmup=<number>", text=f"runs before them that do not; {WARMUP} without it")
    parser.add_option(
        "threads", spelling="threads=<number>", text="that an engine may use; without it, what it was compiled for"
    )
    parser.add_option("out", spelling="out=<file>.json", text="write all of it there, with every sample")
    parser.add_option("html", spelling="html=<file>.html", text="write a page with plots there")
    add_opening(parser, cache=False)


def run(given: Namespace) -> int:
    """Measure the bundles, and print the tables; what is told meanwhile goes to the error stream."""
    from compiler.artifact import reading, write_text
    from compiler.profiling import profile
    from compiler.profiling.console import print_profile
    from compiler.report.console import console

    bundles, sources = _told_apart(given.paths)
    opening, options, writers = opening_of(given), given.options, _writers(given.options, given.paths)
    numbers = {name: whole_in(name, options[name]) for name in ("iterations", "warmup", "threads") if name in options}
    for folder in bundles:
        warn_unless_proven(Path(folder), given.trust_changes)
    found = profile(
        bundles,
        sources,
        shapes=shapes_in(options.get("shape", "")),
        batches=[whole_in("batch", word) for word in words_in(options.get("batch", ""))],
        modules=opening.modules,
        engine_code=opening.engine_code,
        trust_changes=opening.trust_changes,
        limits=opening.limits,
        report=_tell_progress,
        **numbers,
    )
    for bundle in found.bundles:
        for caution in bundle.cautions:
            warn(f"{bundle.label}: {caution}")
    print_profile(console(), found)
    for path, text_of in writers.items():
        with reading(path, "the file cannot be written"):
            write_text(path, text_of(found))
    return ExitCode.PROVEN


def _told_apart(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """The bundles among paths, and what they look at.

    Raises:
        CompileError: There is no bundle.
    """
    from compiler.artifact import lock_of, reading
    from compiler.artifact.lock import looks_like_a_bundle

    bundles = []
    for path in paths:
        with reading(path, "the path cannot be looked at"):
            if looks_like_a_bundle(Path(path)):
                bundles.append(path)
    if not bundles:
        lock_of(Path(paths[0]), trust_changes=True)  # which says what is wrong with it
    return bundles, [path for path in paths if path not in bundles]


def shapes_in(text: str) -> list[Size]:
    """Shapes as a command line has them: `256x192,384x288`.

    Raises:
        UsageError: One is not made of numbers.
    """
    return [tuple(whole_in("shape", side) for side in word.split("x")) for word in words_in(text)]


def _tell_progress(progress: Progress) -> None:
    """Tell how an engine does, in a line as MMDeploy's profiler prints them."""
    timing = progress.timing
    mean = timing.statistics.mean
    place = on_one_line(f"{progress.label}, {progress.backend}, {timing.input}")
    tell(f"[{place}]-{len(timing.samples)} times per count: {mean * 1000:.2f} ms, {timing.per_second(mean):.2f} FPS")


def _writers(options: Mapping[str, str], inputs: Sequence[str]) -> dict[Path, Callable[[Profile], str]]:
    """What is written of a profile, by the files that are asked for.

    Raises:
        CompileError: There cannot be such a file: that is found before anything is measured.
    """
    from compiler.artifact import finite

    files = output_files(options, ("out", "html"), inputs)
    writers: dict[Path, Callable[[Profile], str]] = {}
    if "out" in files:
        writers[files["out"]] = lambda found: json_text(finite(found.to_dict())) + "\n"
    if "html" in files:
        from compiler.profiling.page import page

        writers[files["html"]] = page
    return writers


VERB = Verb(
    name="profile",
    help="time bundles in turns: their engines, each step from file to result, their layers (needs no torch)",
    usage=(
        "<bundle> ... [<image or folder> ...] [shape=<height>x<width>,...] [batch=<number>,...] [iterations=<number>] "
        "[warmup=<number>] [threads=<number>] [out=<file>.json] [html=<file>.html] [limits.<name>=<number>] "
        "[--config-dir DIR] [--engine-code] [--trust-changes]"
    ),
    takes="one bundle or several, and files or folders of what they look at",
    examples=(
        "profile <bundle>",
        "profile <bundle> photographs shape=256x192 batch=1,4 iterations=200 warmup=50 html=profile.html",
        "profile <fp32 bundle> <int8 bundle> threads=1 out=profile.json",
    ),
    add_arguments=add_arguments,
    run=run,
)
