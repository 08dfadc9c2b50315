"""Read the file of characters that a recogniser of text was trained with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compiler.artifact.given_files import read_lines
from compiler.config import config_folder
from compiler.errors import CompileError
from compiler.openmmlab.translate.parts import Part, node

# The blank must be the last class. A start, an end or an unknown character would be one more.
_PARTS = {
    "Dictionary": Part(
        assumed={"with_start": (False,), "with_end": (False,), "with_padding": (True,)},
        dropped=("dict_file", "with_unknown", "*_token", "same_start_end"),
    )
}


def characters(config: Mapping[str, Any], folder: Path, where: str) -> str:
    """The characters of MMOCR's `Dictionary`, in the order of the network's classes.

    Args:
        config: The dictionary's mapping; its `dict_file` has a character in each line.
        folder: A relative path begins here.
        where: The mapping's place in the config.

    Raises:
        CompileError: The file cannot be read, is no such list, or there are classes that are no characters.
    """
    node({"with_padding": False, **config} if isinstance(config, Mapping) else config, _PARTS, where)
    if config.get("with_unknown") and config.get("unknown_token", "<UKN>") is not None:
        raise CompileError(
            "a class for unknown characters is not supported",
            where=f"{where}.with_unknown",
            why="it follows the blank of CTC, which must be the last class",
            fix="train with unknown_token=None, which leaves unknown characters out",
        )
    place = f"{where}.dict_file"
    path = _file(str(config.get("dict_file", "")), folder, place)
    return _own(path) if path.suffix == ".yaml" else _listed(path, place)


def _file(name: str, folder: Path, where: str) -> Path:
    """The file of that name; where it is not there, ours of the same name: a config keeps MMOCR's own path."""
    path = folder / name
    own = config_folder() / "dictionaries" / f"{path.stem}.yaml"
    # Unlike Path.is_file, it does not fail for a folder of somebody else's.
    if name and os.path.isfile(path):  # noqa: PTH113
        return path
    if own.is_file():
        return own
    raise CompileError(
        "the dictionary's file cannot be found",
        where=where,
        why=f"there is no file {path}",
        fix="copy the file with a character in each line there, or name in the config where it is",
    )


def _own(path: Path) -> str:
    from omegaconf import OmegaConf

    return str(OmegaConf.select(OmegaConf.load(path), "characters"))


def _listed(path: Path, where: str) -> str:
    """The characters in a file that has one in each line; empty lines count for nothing."""
    lines = read_lines(
        path, f"the dictionary {path}", where=where, fix="give UTF-8 text with one character in each line"
    )
    wrong = next((number for number, line in enumerate(lines, 1) if len(line) > 1), None)
    if wrong:
        why = f"line {wrong} has {len(lines[wrong - 1])} characters"
        raise CompileError(f"{path} is no dictionary", where=where, why=why, fix="it has one character in each line")
    found = "".join(lines)
    if not found or len(set(found)) != len(found):
        why = "a character is there twice" if found else "it is empty"
        raise CompileError(f"{path} is no dictionary", where=where, why=why, fix="it has each character once")
    return found
