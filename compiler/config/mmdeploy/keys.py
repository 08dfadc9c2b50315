"""Keys of MMDeploy's deploy configs among overrides: each is refused with the key of ours that says the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import PurePath
from typing import Any

from compiler.config.class_names import NAME_KEYS
from compiler.config.mmdeploy.facts import facts
from compiler.config.mmdeploy.names import PAGE
from compiler.config.moved import INPUT_ALIASES
from compiler.config.schema import CompileConfig
from compiler.config.variant import override_key
from compiler.errors import UsageError

_OURS = frozenset((*(field.name for field in fields(CompileConfig)), *INPUT_ALIASES, *NAME_KEYS, "deploy", "hydra"))
_INDEX = re.compile(r"\[-?\d+\]|\.\d+(?=\.|$)")
"""A place in a list, which Python and Hydra write differently."""
_PLAIN_VALUE = re.compile(r"[\w./~][\w./+-]*")
_WIDTH_HEIGHT = re.compile(r"[\[(](\d+),\s*(\d+)[\])]")
_OFF = ("false", "none", "null")


@dataclass(frozen=True)
class Answer:
    """What a key of MMDeploy's is here.

    Attributes:
        key: In full, as `codebase_config.post_processing.score_threshold`.
        ours: The override that says the same; empty where nothing does.
        why: Why it is so, or why nothing is.
    """

    key: str
    ours: str
    why: str


def refuse_keys(overrides: Sequence[str]) -> None:
    """Refuse keys of MMDeploy's, all of them at once.

    Raises:
        UsageError: There are some, with what is written instead.
    """
    found = {override: answers(override_key(override)) for override in overrides}
    theirs = {override: known for override, known in found.items() if known}
    if not theirs:
        return
    keys = ", ".join(f"'{override_key(override)}'" for override in theirs)
    several = len(theirs) > 1
    written = [_written(override, answer) for override, known in theirs.items() for answer in known]
    raise UsageError(
        f"{keys} {'are keys' if several else 'is a key'} of MMDeploy's deploy configs",
        where=" ".join(theirs),
        why="\n".join(dict.fromkeys(answer.why for known in theirs.values() for answer in known)),
        fix="\n".join(dict.fromkeys([*filter(None, written), f"see {PAGE}"])),
    )


def answers(key: str) -> tuple[Answer, ...]:
    """What a key is in MMDeploy's configs, with or without what stands before it; nothing where it is none of them."""
    given = _INDEX.sub("", key).split(".")
    if not given[0] or given[0] in _OURS:
        return ()
    lengths = {known: _matched(given, known.split(".")) for known in facts("keys")["keys"]}
    most = max(lengths.values())
    if most:
        return _as_answers(known for known, length in lengths.items() if length == most)
    return _section(given[0])


def _matched(given: Sequence[str], known: Sequence[str]) -> int:
    """How many parts of a known key a key begins with, from whichever part on; 0 where it does not reach its end."""
    for start in range(len(known)):
        rest = known[start:]
        if len(given) >= len(rest) and all(part in (one, "*") for one, part in zip(given, rest, strict=False)):
            return len(rest)
    return 0


def _as_answers(keys: Any) -> tuple[Answer, ...]:
    known: Mapping[str, Any] = facts("keys")["keys"]
    alike = {(known[key]["ours"], known[key]["why"]): key for key in reversed(list(keys))}
    return tuple(Answer(key, *said) for said, key in reversed(alike.items()))


def _section(name: str) -> tuple[Answer, ...]:
    """What is said of a whole section, and of a key of it that nobody knows."""
    sections = facts("keys")["sections"]
    if name not in sections:
        return ()
    known = (key for key in facts("keys")["keys"] if key.startswith(f"{name}."))
    keys = ", ".join(dict.fromkeys(key.split(".")[1] for key in known))
    return (Answer(name, "", f"{name} is a section of them" + (f"; known in it are {keys}" if keys else "")),)


def _written(override: str, answer: Answer) -> str:
    """What is written instead, with the value that was given where it is plain; nothing for what is switched off."""
    value = override.partition("=")[2]
    size = _WIDTH_HEIGHT.fullmatch(value)
    if value.lower() in _OFF:
        return ""
    ours = answer.ours.replace("<name>", PurePath(value).stem) if answer.key == "deploy_cfg" and value else answer.ours
    if size is not None:
        return ours.replace("<height>x<width>", f"{size[2]}x{size[1]}")
    return ours.replace("=<value>", f"={value}") if _PLAIN_VALUE.fullmatch(value) else ours
