"""The arguments of a verb: places and flags as argparse has them, and options that are spelt `key=value`."""

from __future__ import annotations

import errno
import os
import re
from argparse import Action, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from compiler.config.limits import Limits
from compiler.errors import UsageError, nearest

if TYPE_CHECKING:
    from compiler.runtime.opening import Opening

COMMAND = "python -m compiler"
LARGEST_WHOLE = 2**31
_OPTION = re.compile(r"([A-Za-z]\w*(?:\.\w+)*)=(.*)", re.DOTALL)


class Parser(ArgumentParser):
    """The parser of one verb. What it cannot take is a UsageError; it prints nothing, and never ends the process.

    Args:
        verb: The verb's name.
        usage: What follows the verb on a command line.
        takes: The same in the words of a message, such as "one bundle".
        description: What the verb does.
        examples: Command lines, without `python -m compiler`.

    Attributes:
        flags: The flags that it takes, each spelling of them.
        options: The names of the options that are spelt `name=value`; one that ends in a dot stands for all that begin
            with it.
        keys: The keys of a config that overrides set, where it takes overrides.
    """

    def __init__(self, verb: str, usage: str, takes: str, description: str, examples: Sequence[str]) -> None:
        super().__init__(
            usage=f"{COMMAND} {verb} {usage}",
            description=description,
            epilog="\n".join(["examples:", *(f"  {COMMAND} {example}" for example in examples)]),
            formatter_class=RawDescriptionHelpFormatter,
            add_help=False,
            allow_abbrev=False,
        )
        self.verb = verb
        self.takes = takes
        self.flags: list[str] = []
        self.options: list[str] = []
        self.keys: tuple[str, ...] = ()
        self._spellings = self.add_argument_group("given as name=value")  # argparse leaves it out while it is empty
        self.add_argument("--help", "-h", action="store_true", help="show this")

    def add_argument(self, *names: Any, **settings: Any) -> Action:
        """Add a place or a flag, as argparse does."""
        action = super().add_argument(*names, **settings)
        self.flags.extend(action.option_strings)
        return action

    def add_option(self, *names: str, spelling: str, text: str) -> None:
        """Add an option that is spelt `name=value`, or one that goes by several names."""
        self.options.extend(names)
        self._spellings.description = f"{self._spellings.description or ''}{spelling}\n    {text}\n"

    def parsed(self, words: Sequence[str]) -> Namespace:
        """What the words say; `options` holds the values of those that are spelt `name=value`.

        Raises:
            UsageError: One of them is unknown, or one is missing.
        """
        for word in words:
            if "\0" in word:
                raise UsageError("an argument holds a zero byte", where=word, why="no path and no name does")
        found = [_OPTION.fullmatch(word) if self.options else None for word in words]
        options = {match[1]: match[2] for match in found if match}
        rest = [word for word, match in zip(words, found, strict=True) if not match]
        self._refuse_unknown(options, rest)
        given, surplus = self.parse_known_intermixed_args(rest)
        if surplus:
            raise self._refused(f"{self.verb} takes {self.takes}", surplus[0])
        given.options = options
        return given

    def error(self, message: str) -> NoReturn:
        """Refuse what argparse cannot take: something is missing, or has no value."""
        raise UsageError(f"{self.verb} takes {self.takes}", where="command line", why=message, fix=str(self.usage))

    def _refuse_unknown(self, options: dict[str, str], rest: Sequence[str]) -> None:
        for name, value in options.items():
            if name not in self.options and f"{name.partition('.')[0]}." not in self.options:
                raise self._refused(f"{self.verb} takes no option '{name}'", f"{name}={value}", name)
            if not value:
                raise UsageError(f"the option '{name}' has no value", where=f"{name}=", fix=str(self.usage))
        for word in rest:
            flag = word.partition("=")[0]
            if word.startswith("-") and word != "-" and flag not in self.flags:
                raise self._refused_flag(flag)

    def _refused_flag(self, flag: str) -> UsageError:
        """An unknown flag, which may be a key or an option that is spelt `key=value`."""
        name = flag.lstrip("-").replace("-", "_")
        if name not in (*self.keys, *self.options):
            return self._refused(f"{self.verb} takes no such flag", flag)
        return UsageError(f"{self.verb} takes no such flag", where=flag, fix=f"write {name}=<value>, without dashes")

    def _refused(self, what: str, where: str, name: str = "") -> UsageError:
        choice = nearest(name or where, self.options if name else [*self.flags, *self.options])
        return UsageError(what, where=where, fix=f"{choice} ({self.usage})")


def one_of(flag: str, choices: Sequence[str]) -> Callable[[str], str]:
    """The type of a flag's value that is one of a few words; argparse's own `choices` names no nearest."""

    def chosen(word: str) -> str:
        if word not in choices:
            raise UsageError(f"{flag} takes no '{word}'", where=f"{flag} {word}", fix=nearest(word, choices))
        return word

    return chosen


def add_trust_changes(parser: Parser) -> None:
    """Add `--trust-changes`, to verbs that read a bundle."""
    text = "go on with a bundle whose files are not what lock.json says: you changed them"
    parser.add_argument("--trust-changes", action="store_true", help=text)


OWN_CLASSES = "a config folder of your own: a bundle may name the classes that its files name"


def add_opening(
    parser: Parser, *, engine_code: bool = True, cache: bool = True, trial: bool = True, config_dir: str = OWN_CLASSES
) -> None:
    """Add what opening a bundle asks for, to verbs that open one; `opening_of` reads it.

    Args:
        parser: Of the verb.
        engine_code: Whether the verb opens engines, or hands them on.
        cache: Whether it keeps what opening takes long for.
        trial: Whether engines are tried out before they are opened.
        config_dir: What the user's config folder is for.
    """
    add_limits(parser, {**INPUT_LIMITS, **(TRIAL_LIMITS if trial else {})})
    if cache:
        parser.add_option("cache", spelling="cache=<folder>", text="keep what opening takes long for: outputs/.cache")
    if engine_code:
        text = "use an engine that brings code, such as TorchScript's or a version-compatible one: it runs what it says"
        parser.add_argument("--engine-code", action="store_true", help=text)
    add_config_dir(parser, config_dir)
    add_trust_changes(parser)


def opening_of(given: Namespace) -> Opening:
    """How bundles are opened, by what is given.

    Raises:
        UsageError: A limit is no number, or out of its range.
    """
    from compiler.config.known_classes import modules_of
    from compiler.runtime.opening import Opening

    flags = {name: getattr(given, name, False) for name in ("engine_code", "network_code", "trust_changes")}
    cache = Path(given.options["cache"]) if "cache" in given.options else None
    return Opening(modules=modules_of(given.config_dir), limits=limits_of(given.options), cache=cache, **flags)


def add_json(parser: Parser) -> None:
    """Add `--json`, to verbs whose results programs read."""
    parser.add_argument("--json", action="store_true", help="print it all as JSON")


INPUT_LIMITS: Mapping[str, str] = {
    "megapixels": f"how large an image may be, by its header before it is decoded; {Limits.megapixels:g} without it",
    "points": f"how many points a cloud may have; {Limits.points} without it",
}
"""What an input may cost, by the names in `Limits`."""
TRIAL_LIMITS: Mapping[str, str] = {
    "seconds": f"that an engine may take where it is tried out before it is opened; {Limits.seconds:g} without it",
    "memory": f"GiB of address space that it may take meanwhile; {Limits.memory:g} without it",
}
"""What trying an engine out may cost, likewise."""


def add_limits(parser: Parser, limits: Mapping[str, str] = INPUT_LIMITS) -> None:
    """Add `limits.megapixels=` and the like, to verbs that read an input for a bundle."""
    for limit, text in limits.items():
        parser.add_option(f"limits.{limit}", spelling=f"limits.{limit}=<number>", text=text)


def limits_of(options: Mapping[str, str]) -> Limits:
    """What an input or an engine may cost, by the options that are given.

    Raises:
        UsageError: A limit is no number, or out of its range.
    """
    from compiler.config.instantiate import instantiate

    given = {name: options[f"limits.{name}"] for name in (*INPUT_LIMITS, *TRIAL_LIMITS) if f"limits.{name}" in options}
    return instantiate({name: number(text) for name, text in given.items()}, Limits, "limits")


def number(text: str) -> object:
    """What a text says as YAML would read it: a number where it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def truth(options: Mapping[str, str], name: str) -> bool:
    """Whether an option is given as true; it is false where it is not given.

    Raises:
        UsageError: It is neither.
    """
    return truth_in(name, options.get(name, "false"))


def truth_in(name: str, text: str) -> bool:
    """What the value of an option says that is `true` or `false`.

    Raises:
        UsageError: It is neither.
    """
    if text not in ("true", "false"):
        raise no_value(name, text, "give true or false")
    return text == "true"


def whole_in(name: str, text: str, least: int = 0, most: int = LARGEST_WHOLE) -> int:
    """The whole number that is the value of an option.

    Raises:
        UsageError: It is none, or too small or large.
    """
    if not text.isascii() or not text.isdigit() or not least <= int(text[:20]) <= most:
        raise no_value(name, text, f"give a whole number from {least} to {most}")
    return int(text)


def share_in(name: str, text: str) -> float:
    """The number from 0 to 1 that is the value of an option.

    Raises:
        UsageError: It is none.
    """
    with suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise no_value(name, text, "give a number from 0 to 1")


def words_in(text: str) -> list[str]:
    """The words of a value, in which commas stand between them."""
    return [word.strip() for word in text.split(",") if word.strip()]


def no_value(name: str, text: str, fix: str) -> UsageError:
    """That an option takes no such value."""
    return UsageError(f"'{text}' is no value of {name}", where=f"{name}={text}", fix=fix)


def output_files(options: Mapping[str, str], names: Sequence[str], inputs: Iterable[str] = ()) -> dict[str, Path]:
    """The files that options say are written, by the options' names: found fit before anything takes its time.

    Args:
        options: All that are given.
        names: Of those that name a file to write.
        inputs: Paths of what is read.

    Raises:
        UsageError: There cannot be such a file, or writing it loses another one.
        CompileError: The operating system refuses its folder.
    """
    files = {name: Path(options[name]) for name in names if name in options}
    read = {_resolved(path) for path in inputs}
    for name, path in files.items():
        where, others = f"{name}={path}", [other for other in files.values() if other is not path]
        _require_place(path, where)
        if _resolved(path) in read:
            raise UsageError("the file that would be written is one that is read", where=where, fix=ANOTHER_FILE)
        if _resolved(path) in map(_resolved, others):
            raise UsageError("two options name one file", where=where, fix=ANOTHER_FILE)
    return files


def _require_place(path: Path, where: str) -> None:
    """Refuse a path that no file can be written to, or that lies in a bundle, which is as it was compiled."""
    from compiler.artifact import reading
    from compiler.artifact.lock import is_within_a_bundle

    with reading(path, "there cannot be such a file"):
        if path.is_dir():
            raise UsageError("there is a folder where the file would be", where=where, fix="name a file")
        if is_within_a_bundle(path):
            what = "the file would lie in a bundle, whose files are as they were compiled"
            raise UsageError(what, where=where, fix="name a file elsewhere")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _resolved(path: str | Path) -> str:
    return os.path.realpath(path)


ANOTHER_FILE = "name another file"
OWN_FILES = "a config folder of your own, with your own model/ and backend/ files in it"


def add_config_dir(parser: Parser, text: str = OWN_FILES) -> None:
    """Add `--config-dir`, to verbs that compose a config, list what can be composed, or open what was compiled."""
    parser.add_argument("--config-dir", "-cd", type=Path, metavar="DIR", help=text)
