"""YAML files of other people: refused before they are built, where a few lines stand for billions of values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.artifact import read_given
from compiler.artifact.reading import reason
from compiler.errors import CompileError, UsageError

if TYPE_CHECKING:
    import yaml

LARGEST_YAML = 2**20
"""Bytes. YAML is parsed by Python itself."""
MOST_VALUES = 1_000_000
"""That a file may stand for once each alias is what it names."""
DEEPEST_YAML = 50
"""OmegaConf fails on what is nested deeper, and takes long to."""


@contextmanager
def parsing(path: Path, what: str = "a config file") -> Iterator[None]:
    """Turn whatever a parser raises over a YAML file into one error; see `compiler.artifact.reading.reading`.

    Raises:
        UsageError: It is no YAML, or holds what no config does. A `CompileError` goes through as it is.
    """
    import yaml

    try:
        yield
    except CompileError:
        raise
    except yaml.MarkedYAMLError as error:
        place = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(
            f"{what} is not valid YAML", where=f"{path}{place}", why=error.problem or reason(error)
        ) from error
    except Exception as error:  # neither YAML nor OmegaConf has a common base class for what it refuses
        raise UsageError(f"{what} cannot be read", where=str(path), why=reason(error)) from error


def check_yaml(path: Path, what: str = "the config file") -> str:
    """The text of a YAML file that stands for no more than it may.

    Args:
        path: The file.
        what: It should be.

    Raises:
        CompileError: It is missing, no file or too large.
        UsageError: It is no text, holds itself or stands for too much.
        yaml.YAMLError: It is no YAML.
    """
    content = read_given(path, what, largest=LARGEST_YAML, may_be_empty=True)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} cannot be read", where=str(path), why=reason(error)) from error
    named = StringIO(text)
    named.name = str(path)  # where YAML's own errors say that they are
    _check_values(named)
    return text


def _check_values(text: StringIO) -> None:
    """Count what a text stands for, as if each alias were written out, and how deep it goes."""
    import yaml

    where = text.name
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # where libyaml is there, ten times as fast
    whole: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(text, Loader=loader):
        size = _own_size(event, whole, where)
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
            whole |= {anchor: size} if anchor else {}
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, 1))
            if len(open_nodes) > DEEPEST_YAML:
                raise _refused(where, f"it is nested deeper than {DEEPEST_YAML} levels")
            continue
        elif isinstance(event, yaml.ScalarEvent) and event.anchor:
            whole[event.anchor] = size
        anchor, before = open_nodes[-1]
        open_nodes[-1] = (anchor, before + size)
        if before + size > MOST_VALUES:
            raise _refused(where, f"with its aliases written out it has more than {MOST_VALUES:,} values")


def _own_size(event: yaml.Event, whole: dict[str, int], where: str) -> int:
    """How many values an event stands for by itself."""
    import yaml

    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in whole:
            raise _refused(where, f"the alias *{event.anchor} stands within what it names, or before it")
        return whole[event.anchor]
    return 1 if isinstance(event, yaml.ScalarEvent) else 0


def _refused(where: str, why: str) -> UsageError:
    return UsageError(
        "the YAML file cannot be read", where=where, why=why, fix="write out what it means, in fewer values"
    )
