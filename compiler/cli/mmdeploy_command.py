"""A command of MMDeploy's on our command line: the same in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from shlex import quote
from typing import Any

from compiler.cli.arguments import COMMAND
from compiler.config.mmdeploy.facts import facts
from compiler.errors import UsageError

_INTERPRETER = re.compile(r"python[\d.]*(\.exe)?")
_FLAGS_WITH_A_VALUE = ("-W", "-X", "--check-hash-based-pycs")
"""Of Python's own."""


def refuse_command(words: Sequence[str]) -> None:
    """Refuse a command of MMDeploy's, such as `tools/deploy.py`, with or without `python` before it.

    Raises:
        UsageError: It is one, with the command that does the same here.
    """
    command, *rest = _without_interpreter(words) or [""]
    tool = PurePath(command).name
    known = facts("commands")["commands"].get(tool) if tool.endswith(".py") else None
    if known is None:
        return
    from compiler.config.mmdeploy.names import PAGE  # beside what other commands do not need

    written = _written(known, rest)
    raise UsageError(
        f"{tool} is a command of MMDeploy's: it {known['is']}",
        where=command,
        why="\n".join(filter(None, [known.get("why", ""), *_left_out(known, rest)])),
        fix=f"{' '.join([COMMAND, *filter(None, [known['verb']]), *written])}\n({PAGE})",
    )


def _without_interpreter(words: Sequence[str]) -> list[str]:
    """The words from the script on, where it is given to a Python."""
    rest = list(words)
    if not rest or not _INTERPRETER.fullmatch(PurePath(rest[0]).name):
        return rest
    rest.pop(0)
    while rest and rest[0].startswith("-"):
        flag = rest.pop(0)
        if flag in _FLAGS_WITH_A_VALUE:
            del rest[:1]
    return rest


def _written(command: Mapping[str, Any], words: Sequence[str]) -> list[str]:
    """The words that say the same here; a place that was left empty is named as MMDeploy's help names it."""
    places, flags = _arguments(command, words)
    named = [*places, *list(command["places"])[len(places) :]]
    said = zip(command["places"].values(), named, strict=False)
    set_by_flags = ((command["flags"][flag]["ours"], value) for flag, value in flags if flag in command["flags"])
    return [_filled(ours, value) for ours, value in [*said, *set_by_flags] if ours]


def _left_out(command: Mapping[str, Any], words: Sequence[str]) -> Iterator[str]:
    """Why a flag has no word here."""
    for flag, _ in _arguments(command, words)[1]:
        known = command["flags"].get(flag, {"ours": "", "why": "is no flag of MMDeploy 1.3.1's"})
        if not known["ours"]:
            yield f"{flag}: {known['why']}"


def _arguments(command: Mapping[str, Any], words: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The arguments without a flag, and the flags with their values."""
    places: list[str] = []
    flags: list[tuple[str, str]] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            places.append(word)
            continue
        flag, joined, value = word.partition("=")
        if not joined and flag not in command["alone"]:
            most = len(rest) if flag in command["many"] else 1
            taken = [rest.pop(0) for _ in range(most) if rest and not rest[0].startswith("--")]
            value = taken[0] if taken else ""
        flags.append((flag, value))
    return places, flags


def _filled(ours: str, value: str) -> str:
    return ours.replace("<name>", quote(PurePath(value).stem)).replace("<value>", quote(value))
