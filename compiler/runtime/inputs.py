"""What there is to look at: files, all of a folder, what a pattern matches, and what standard input lists."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from compiler.artifact import reading
from compiler.artifact.reading import reason
from compiler.errors import CompileError, UsageError
from compiler.tasks import InputKind
from compiler.tasks.inputs import ARRAYS, IMAGE
from compiler.tasks.videos import VIDEOS

STANDARD_INPUT = "-"
LONGEST_LINE = 2**20
"""Characters of a line of standard input: tens of thousands of boxes."""
TEST_DATA = "input_0.pb"
"""What a folder holds that is one input: onnx's test data."""
LINE = 'a path, or JSON: {"input": "street.jpg", "box": [[80, 20, 310, 460]]}'


@dataclass(frozen=True)
class Input:
    """One thing to look at.

    Attributes:
        path: Of its file.
        name: What a picture of it is called after: its place below the folder that was named.
        box: Where the objects are in it; None where that is not said.
        is_video: Whether it is many images, one after the other.
    """

    path: Path
    name: Path
    box: Any = None
    is_video: bool = False


def is_single(words: Sequence[str], kind: InputKind) -> bool:
    """Whether words name one file that gives one result, and no list of them, however long."""
    if len(words) != 1 or words[0] == STANDARD_INPUT:
        return False
    path = Path(words[0])
    if _is_folder(path, kind) or is_video(words, kind):
        return False
    return _exists(path) or not glob.has_magic(words[0])


def is_video(words: Sequence[str], kind: InputKind) -> bool:
    """Whether words name one video, which gives a result for each frame and is drawn into one file."""
    if len(words) != 1 or kind != IMAGE:
        return False
    path = Path(words[0])
    return path.suffix.lower() in VIDEOS and (_exists(path) or not glob.has_magic(words[0]))


def find_inputs(words: Sequence[str], kind: InputKind, lines: TextIO) -> Iterator[Input | CompileError]:
    """Yield what the words name, in their order.

    A folder is all of the files of the kind below it, and for images the videos; `-` is what `lines` lists, one a line,
    each taken once it is there. A word that is no file is a pattern: `**` stands for any folders.

    Args:
        words: Of a command line.
        kind: What is looked at.
        lines: Standard input.

    Yields:
        An input; or, for a line that names none, what is wrong with it.

    Raises:
        UsageError: A folder or a pattern holds nothing of the kind.
    """
    for one in _named(words, kind, lines):
        if isinstance(one, Input) and kind == IMAGE and one.path.suffix.lower() in VIDEOS:
            yield replace(one, is_video=True)
        else:
            yield one


def _named(words: Sequence[str], kind: InputKind, lines: TextIO) -> Iterator[Input | CompileError]:
    for word in words:
        path = Path(word)
        if word == STANDARD_INPUT:
            yield from _listed(lines)
        elif _is_folder(path, kind):
            yield from _in_folder(path, kind)
        elif is_pattern(word):
            yield from matching(word, kind)
        else:
            yield Input(path, Path(path.name))


def is_pattern(word: str) -> bool:
    """Whether a word is a pattern, and not a file that is called so."""
    return glob.has_magic(word) and not _exists(Path(word))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _is_folder(path: Path, kind: InputKind) -> bool:
    """Whether a path is a folder of inputs, and not one that is an input."""
    try:
        return path.is_dir() and not (kind == ARRAYS and (path / TEST_DATA).is_file())
    except (OSError, ValueError):
        return False


def _in_folder(folder: Path, kind: InputKind) -> list[Input]:
    with reading(folder, f"the folder {folder.name} cannot be searched"):
        files = [path for path in sorted(folder.rglob("*")) if _is_of(path, kind) and path.is_file()]
    if not files:
        raise _nothing(f"the folder holds no {kind.name}", str(folder), kind)
    return [Input(path, path.relative_to(folder)) for path in files]


def matching(pattern: str, kind: InputKind) -> list[Input]:
    """The files that a pattern means: `**` stands for any folders.

    Raises:
        UsageError: There is none.
    """
    with reading(pattern, "the pattern cannot be searched for"):
        found = glob.glob(pattern, recursive=True)  # noqa: PTH207 - a pattern may be absolute
        files = [Path(path) for path in sorted(found) if Path(path).is_file()]
    if not files:
        raise _nothing("no file is called so", pattern, kind)
    return [Input(path, Path(path.name)) for path in files]


def _is_of(path: Path, kind: InputKind) -> bool:
    return path.suffix.lower() in (*kind.suffixes, *(VIDEOS if kind == IMAGE else ()))


def _nothing(what: str, where: str, kind: InputKind) -> UsageError:
    videos = (*kind.suffixes, *VIDEOS) if kind == IMAGE else kind.suffixes
    return UsageError(what, where=where, why=f"files of that kind end in {', '.join(videos)}", fix="check the path")


def _listed(lines: TextIO) -> Iterator[Input | CompileError]:
    number = 0
    while line := lines.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            where = f"standard input, line {number}"
            why = f"it has more than {LONGEST_LINE:,} characters"
            raise CompileError("the line is too long", where=where, why=why, fix=f"give {LINE}")
        if line.strip():
            yield _on_line(line.strip(), number)


def _on_line(line: str, number: int) -> Input | CompileError:
    """What a line names: its text is a path, unless it begins as JSON does."""
    if line[0] not in '{"':
        return Input(Path(line), Path(Path(line).name))
    try:
        return _in_json(json.loads(line))
    except (ValueError, RecursionError) as error:
        where = f"standard input, line {number}"
        return CompileError("the line names no input", where=where, why=reason(error), fix=f"give {LINE}")


def _in_json(value: Any) -> Input:
    given = {"input": value} if isinstance(value, str) else value
    unknown = sorted(given.keys() - {"input", "box"})
    if unknown:
        raise ValueError(f"it has the key {unknown[0]!r:.60}, and the keys are 'input' and 'box'")
    path = given.get("input")
    if not isinstance(path, str) or not path:
        raise ValueError(f"its 'input' is a path, not {path!r:.60}")
    return Input(Path(path), Path(Path(path).name), given.get("box"))
