"""What may come next on a command line, for the shell that asks: verbs, what a verb takes, keys and their values."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hydra.plugins.completion_plugin import CompletionPlugin

from compiler.cli.verb import Verb
from compiler.config.class_names import NAME_KEYS
from compiler.config.deploy_name import AUTO, PRECISIONS
from compiler.config.moved import INPUT_ALIASES
from compiler.config.overrides import expand
from compiler.config.schema import CALIBRATION_METHODS, EXPORTERS, TAILS
from compiler.config.search import CONFIG_NAME, config_loader

VALUES = {
    "precision": (*PRECISIONS, AUTO),
    "tail": TAILS,
    "export.exporter": EXPORTERS,
    "calibration.method": CALIBRATION_METHODS,
    "calibration.auto": ("true", "false"),
}
"""What a key may be set to, where that is one of a few words; the choices of groups are Hydra's to tell."""
SPELLINGS = tuple(f"{key}=" for key in ("deploy", *sorted(INPUT_ALIASES), *NAME_KEYS))
"""Spellings that Hydra does not know."""


class _Overrides(CompletionPlugin):
    """What Hydra completes: groups, their choices, and keys."""

    def install(self) -> None:
        """Nothing: Hydra's own plugins write what a shell runs."""

    def uninstall(self) -> None:
        """Nothing."""

    @staticmethod
    def provides() -> str:
        """No shell of its own."""
        return ""

    @staticmethod
    def help(command: str) -> str:
        """Nothing."""
        return command

    def query(self, config_name: str | None) -> None:
        """Nothing: see `after`."""

    def after(self, words: Sequence[str]) -> list[str]:
        """What the last of these words may become."""
        return list(self._query(CONFIG_NAME, " ".join(words)))


def print_completions(shell: str) -> None:
    """Answer the shell that asks through `COMP_LINE`; a prompt is no place for a message, so there is none."""
    words = _without_program(os.environ.get("COMP_LINE", ""))
    try:
        answers = completions(words)
    except Exception:  # an override that is half typed may be wrong in any way
        answers = []
    print(("\n" if shell == "fish" else " ").join(answers))


def completions(words: Sequence[str]) -> list[str]:
    """What the last word may become; the words are those after the program, the last one is empty or half typed."""
    from compiler.cli.verbs import VERBS

    *before, word = words or [""]
    if not before and "=" not in word:
        verbs = [name for name in VERBS if name.startswith(word)]
        return [*verbs, *_composed(VERBS["compile"], [], word)]
    verb = VERBS.get(before[0]) if before else None
    rest = before[1:] if verb else before
    verb = verb or VERBS["compile"]
    return _composed(verb, rest, word) if verb.composes else _taken(verb, word)


def _taken(verb: Verb, word: str) -> list[str]:
    """The flags and `name=` options of a verb."""
    parser = verb.parser()
    if verb.name == "help":
        from compiler.cli.verbs import VERBS

        return [name for name in VERBS if name.startswith(word)]
    options = (name if name.endswith(".") else f"{name}=" for name in parser.options)
    return [one for one in (*parser.flags, *options) if one.startswith(word)]


def _composed(verb: Verb, before: Sequence[str], word: str) -> list[str]:
    """The flags of a verb that composes a config, and the overrides."""
    if word.startswith("-"):
        return _taken(verb, word)
    key, equals, _ = word.lstrip("+").partition("=")
    if equals and key in VALUES:
        stem = word.partition("=")[0]
        return [one for one in (f"{stem}={value}" for value in VALUES[key]) if one.startswith(word)]
    ours = [spelling for spelling in SPELLINGS if spelling.startswith(word)]
    config_dir = _config_dir(before)
    overrides = expand([one for one in before if "=" in one and not one.startswith("-")], config_dir)
    theirs = _Overrides(config_loader(config_dir)).after([*overrides, word])
    return sorted({*ours, *(one for one in theirs if not one.lstrip("+~").startswith("hydra"))})


def _config_dir(words: Sequence[str]) -> Path | None:
    """The folder that `--config-dir` names, where it does."""
    places = [index for index, word in enumerate(words[:-1]) if word in ("--config-dir", "-cd")]
    return Path(words[places[-1] + 1]) if places else None


def _without_program(line: str) -> list[str]:
    """The words after the program; the last one is empty where a new one begins."""
    words = line.split()
    skipped = 3 if words[1:3] == ["-m", "compiler"] else 1
    return [*words[skipped:], *([""] if not line or line[-1].isspace() else [])]
