"""Predict on one input or on many: results as JSON, drawn, written, shown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from compiler.artifact import finite
from compiler.cli.json_text import json_text
from compiler.cli.outlets import Outlets, write_arrays
from compiler.cli.streams import tell
from compiler.errors import CompileError, ExitCode, UsageError

if TYPE_CHECKING:
    from compiler.runtime import DetectionChain, Limits, Predictor
    from compiler.runtime.inputs import Input
    from compiler.runtime.stream import Stream
    from compiler.runtime.text_spotting import TextSpotter

    Runner = Predictor | DetectionChain | TextSpotter
    Found = list[Any] | CompileError | None
    """What is found in an input, or what is wrong with it; None for a video, in which nothing was looked for yet."""

NO_IMAGE_SUFFIX = ".png"
"""Of a picture of what is no image, such as a point cloud seen from above."""
VIDEO_SUFFIX = ".mp4"
"""Of a drawn video, where its own is not written."""


def predict_one(runner: Runner, one: Input, outlets: Outlets) -> list[Any]:
    """Print the results of one input as JSON.

    Args:
        runner: What finds them.
        one: The input.
        outlets: Where else they go.

    Returns:
        The results.
    """
    results = _results(runner, one.path, one.box)
    _write_arrays(one, results, outlets)
    print(json_text(finite([result.to_dict() for result in results])))
    _draw(runner, one, results, outlets)
    return results


def predict_many(
    runner: Runner, inputs: Iterable[Input | CompileError], outlets: Outlets, limits: Limits, batch: int = 1
) -> int:
    """Print the results of each input as a line of JSON, once they are there; one that fails does not end the run.

    Args:
        runner: What finds them.
        inputs: Or what is wrong with one.
        outlets: Where else results go.
        limits: What a frame of a video may cost.
        batch: How many inputs that follow each other are looked at together.

    Returns:
        The exit status.
    """
    count = failed = 0
    with _looked_at(runner, inputs, batch) as groups:
        for one, found in chain.from_iterable(groups):
            count += 1
            try:
                if isinstance(found, CompileError):
                    raise found
                lines = _frames(runner, one, outlets, limits) if found is None else _whole(runner, one, outlets, found)
                _print_lines(lines)
            except UsageError:  # what is wrong with the command line is wrong with every input
                raise
            except CompileError as error:
                failed += 1
                tell(f"error: {error.summary}")
                _print_lines([_failure(one, error)])
            if outlets.closed:
                break
    if failed and count > 1:
        tell(f"{failed} of {count} inputs failed")
    return ExitCode.FAILED if failed else ExitCode.PROVEN


def _looked_at(
    runner: Runner, inputs: Iterable[Input | CompileError], batch: int
) -> Stream[Sequence[Input | CompileError], list[tuple[Any, Found]]]:
    """Each input with what was found in it, group by group, and as many groups at once as the runner has streams."""
    from compiler.runtime.stream import Stream

    return Stream(partial(_together, runner), _groups(inputs, batch), runner.streams)


def _groups(inputs: Iterable[Input | CompileError], batch: int) -> Iterator[Sequence[Input | CompileError]]:
    """Yield inputs that are looked at together; what is no file of one input is by itself."""
    group: list[Input] = []
    for one in inputs:
        if isinstance(one, CompileError) or one.is_video:
            yield from filter(None, (group, [one]))
            group = []
            continue
        group.append(one)
        if len(group) == batch:
            yield group
            group = []
    if group:
        yield group


def _together(runner: Runner, group: Sequence[Input | CompileError]) -> list[tuple[Any, Found]]:
    """What is found in several inputs; where one of them fails each is looked at by itself."""
    from compiler.runtime import Predictor

    inputs = [one for one in group if not isinstance(one, CompileError)]
    if len(inputs) > 1 and isinstance(runner, Predictor):
        with suppress(CompileError):
            return list(zip(inputs, runner([one.path for one in inputs], [one.box for one in inputs]), strict=True))
    return [(one, _alone(runner, one)) for one in group]


def _alone(runner: Runner, one: Input | CompileError) -> Found:
    if isinstance(one, CompileError):
        return one
    if one.is_video:
        return None
    try:
        return _results(runner, one.path, one.box)
    except CompileError as error:
        return error


def _print_lines(values: Iterable[dict[str, Any]]) -> None:
    """Print values as JSON, each in a line that whoever waits for it gets at once."""
    for value in values:
        print(json.dumps(finite(value), allow_nan=False), flush=True)


def _failure(one: Input | CompileError, error: CompileError) -> dict[str, Any]:
    told = {"what": error.what, "where": error.where, "why": error.why, "fix": error.fix}
    return {"input": None if isinstance(one, CompileError) else str(one.path), "error": told}


def _results(runner: Runner, source: Any, box: Any) -> list[Any]:
    """The results of an input.

    Raises:
        CompileError: It has boxes, and the first of two bundles finds them.
    """
    from compiler.runtime import Predictor

    if box is None:
        return runner(source)
    if not isinstance(runner, Predictor):
        raise CompileError("the detector finds the boxes itself", where=f"box={box}", fix="leave it out")
    return runner(source, box)


def _whole(runner: Runner, one: Input, outlets: Outlets, results: list[Any]) -> Iterator[dict[str, Any]]:
    written = {**_write_arrays(one, results, outlets), **_draw(runner, one, results, outlets)}
    yield {"input": str(one.path), "results": [result.to_dict() for result in results], **written}


def _frames(runner: Runner, one: Input, outlets: Outlets, limits: Limits) -> Iterator[dict[str, Any]]:
    """The results of each frame of a video, which are drawn into a video."""
    from compiler.runtime.stream import Stream
    from compiler.tasks.videos import WRITTEN, opened_video, written_video

    own = one.path.suffix.lower()
    path = outlets.pictures and outlets.pictures.file(one, own if own in WRITTEN else VIDEO_SUFFIX)
    look = partial(_frame, runner, one.box)
    with (
        opened_video(one.path, limits) as video,
        written_video(path, video.rate) if path else nullcontext() as drawn,
        Stream(look, video.frames(), runner.streams) as looked_at,
    ):
        for number, (frame, results) in enumerate(looked_at):
            picture = runner.draw(frame, results) if outlets.drawn else None
            if drawn and picture is not None:
                drawn.write(picture)
            if outlets.window and picture is not None:
                outlets.window.show(picture, wait=False)
            found = [result.to_dict() for result in results]
            yield {"input": str(one.path), "frame": number, "time": round(number / video.rate, 6), "results": found}
            if outlets.closed:
                break


def _frame(runner: Runner, box: Any, frame: Any) -> tuple[Any, list[Any]]:
    return frame, _results(runner, frame, box)


def _write_arrays(one: Input, results: list[Any], outlets: Outlets) -> dict[str, str]:
    """Write arrays where they are asked for, and say where they lie."""
    if not outlets.arrays:
        return {}
    path = outlets.arrays.file(one, ".npz")
    write_arrays(path, results)
    return {"arrays": str(path)}


def _draw(runner: Runner, one: Input, results: list[Any], outlets: Outlets) -> dict[str, str]:
    """Draw and show where that is asked for, and say where the picture lies."""
    from compiler.tasks.images import write_image
    from compiler.tasks.inputs import IMAGE

    if not outlets.drawn:
        return {}
    suffix = one.path.suffix if one.path.suffix.lower() in IMAGE.suffixes else NO_IMAGE_SUFFIX
    path = outlets.pictures and outlets.pictures.file(one, suffix)
    picture = runner.draw(one.path, results)
    if path:
        write_image(path, picture)
    if outlets.window:
        outlets.window.show(picture, wait=True)
    return {"picture": str(path)} if path else {}
