"""The text of a config file, its placeholders replaced by what they stand for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from compiler.artifact import read_given
from compiler.errors import CompileError
from compiler.openmmlab.reader.budget import Refusal

# Parsing takes some hundred times the memory of the text, and YAML is parsed by Python itself.
LARGEST = {".py": 512 * 1024, ".json": 512 * 1024, ".yaml": 128 * 1024, ".yml": 128 * 1024}
_FILE = re.compile(r"\{\{\s*(fileDirname|fileBasename|fileBasenameNoExtension|fileExtname)\s*\}\}")
_ENVIRONMENT = re.compile(r"""\{\{["']?\s*\$(\w+)\s*:\s*(?:([^\s{}"']+)\s*)?["']?\}\}""")
_BASE = re.compile(r"""(["']?)\{\{\s*_base_\.([\w.]+)\s*\}\}\1""")


def read_text(path: Path) -> str:
    """The text of a config file, its placeholders for the file's name and for the environment replaced.

    Placeholders for a value of a base become texts, `"{{ _base_.name }}"`.

    Raises:
        Refusal: The file is not a config's, is missing, cannot be read, is too large or is no text.
    """
    largest = LARGEST.get(path.suffix)
    if largest is None:
        raise Refusal(f"a config's name ends in one of {', '.join(LARGEST)}, and this one in {path.suffix or 'none'}")
    try:
        text = read_given(path, "the file", largest=largest, may_be_empty=True).decode("utf-8-sig")
    except CompileError as error:
        raise Refusal(f"{error.what}: {error.why}", error.fix) from None
    except UnicodeDecodeError as error:
        raise Refusal(f"the file is not text in UTF-8, from its byte {error.start} on") from None
    return _replaced(text, path, largest)


def _replaced(text: str, path: Path, largest: int) -> str:
    values = {
        "fileDirname": path.parent.as_posix(),
        "fileBasename": path.name,
        "fileBasenameNoExtension": path.stem,
        "fileExtname": path.suffix,
    }
    text = _substitute(_FILE, lambda match: values[match[1]], text, largest)
    text = _substitute(_ENVIRONMENT, _variable, text, largest)
    return _substitute(_BASE, lambda match: f'"{{{{ _base_.{match[2]} }}}}"', text, 2 * largest)


def _variable(match: re.Match[str]) -> str:
    value = os.environ.get(match[1], match[2])
    if not value:
        fix = "set it, or give a default as {{$NAME:default}}"
        raise Refusal(f"the environment variable {match[1]} is not set and has no default", fix)
    return value


def _substitute(pattern: re.Pattern[str], value: Callable[[re.Match[str]], str], text: str, largest: int) -> str:
    room = largest

    def replacement(match: re.Match[str]) -> str:
        nonlocal room
        new = value(match)
        room -= len(new)
        if room < 0:
            raise Refusal("the file's placeholders stand for more text than a config holds")
        return new

    return pattern.sub(replacement, text)
