"""`classes=` and `keypoints=`: the names of what a network tells apart, and with them how many there are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.config.consistency import (
    HEAD_TASKS,
    MISSING,
    TASK_CLASSES,
    TASKS,
    Counted,
    counted_in,
    value_at,
    with_value,
)
from compiler.config.search import config_folder
from compiler.errors import CompileError, UsageError

if TYPE_CHECKING:
    from compiler.config.schema import ModelConfig

NAME_KEYS: Mapping[str, str] = {"classes": "class_names", "keypoints": "keypoint_names"}
"""What is written on a command line, each with its key in a config: `conf/` has folders of the first names."""

LARGEST_NUMBER = 1 << 16
"""Of classes or key points."""

_GREEN = [0, 255, 0]
_UNNAMED: Mapping[str, str] = {"classes": "class", "keypoints": "point"}
_SIDES = re.compile(r"left|right", re.IGNORECASE)


def unnamed(key: str, count: int) -> list[str]:
    """What things are called of which only the number is known: `class_0` and so on."""
    return [f"{_UNNAMED[key]}_{index}" for index in range(count)]


def naming(key: str, count: int) -> str:
    """The command that gives a model so many things, whoever knows their names or not."""
    return f"add {key}={count}, or their names in the order of the training: {key}=[<{count} names>]"


def unnamed_hints(model: ModelConfig) -> tuple[str, ...]:
    """What a user should know of a model of which nobody says what it finds."""
    parts = {"network": model.network, "processing": model.processing}
    return tuple(
        f"nobody says what the {len(names)} {one.key} of {model.name} are: they are called {names[0]} and so on. "
        f"Give {one.key}=[<names>], in the order of the training"
        for one in counted_in(parts)
        if one.key and (names := list(value_at(parts, one.names))) == unnamed(one.key, len(names))
    )


def with_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a config whose model has the names that stand at its top, and as many things.

    Raises:
        UsageError: The model tells no such things apart, or they are no names.
    """
    model = values.get("model")
    given = {key: values[own] for key, own in NAME_KEYS.items() if values.get(own) is not None}
    if not isinstance(model, Mapping) or not given:
        return dict(values)
    for key, named in given.items():
        model = renamed(model, key, _names(key, named))
    return {**values, "model": model}


def renamed(model: Mapping[str, Any], key: str, names: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    """A model that finds other things.

    Args:
        model: Its values, every reference resolved.
        key: `classes` or `keypoints`.
        names: Of the things, in the order of the network's scores; or what a file in `conf/keypoints/` holds.

    Raises:
        UsageError: The model tells no such things apart.
    """
    one = next((one for one in counted_in(model) if one.key == key), None)
    tasks = value_at(model, TASKS)
    if one is None and key == "classes" and tasks is not MISSING:
        return _grouped(model, tasks, list(names["names"] if isinstance(names, Mapping) else names))
    if one is None:
        raise UsageError(
            f"{model.get('name')} has no {key} to name",
            where=f"{key}=",
            why="its network counts none, or not in the places that are known",
            fix=f"leave {key} out",
        )
    like = value_at(model, one.names.removesuffix(".names"))
    node = names if isinstance(names, Mapping) else described(key, names, like)
    listed = list(node["names"])
    if not listed or len(set(listed)) != len(listed):
        raise UsageError("each name is there once", where=f"{key}={listed}", fix=f"write {key}=[<name>, ...]")
    changed = with_value(model, one.count, len(listed) + one.blank)
    return _replaced(changed, one, node, listed)


def described(key: str, names: Sequence[str], like: Any = None) -> dict[str, Any]:
    """The node of classes or key points of these names, with what they share with another one."""
    if key == "classes":
        return {"_target_": "compiler.tasks.classes.Classes", "names": list(names)}
    known = like if isinstance(like, Mapping) else {}
    colors = dict(zip(known.get("names", ()), known.get("colors", ()), strict=False))
    return {
        "_target_": "compiler.tasks.pose.keypoints.Keypoints",
        "names": list(names),
        "swap": mirrored(names),
        "colors": [colors.get(name, _GREEN) for name in names],
        "skeleton": [link for link in known.get("skeleton", ()) if set(link["ends"]) <= set(names)],
    }


def mirrored(names: Sequence[str]) -> list[int] | None:
    """For each key point the one that it becomes in a mirror: what is `left_x` becomes `right_x`.

    None where no name says a side: then nobody knows.
    """
    places = {name: index for index, name in enumerate(names)}
    others = [_SIDES.sub(_other_side, name) for name in names]
    if all(name == other for name, other in zip(names, others, strict=True)):
        return None
    return [places.get(other, index) for index, other in enumerate(others)]


def read_names(file: Path, where: str) -> list[str]:
    """The names in a text file that has one in each line.

    Raises:
        UsageError: It cannot be read, or is no such list.
    """
    from compiler.artifact.given_files import read_lines  # beside what takes long to import: --help does not

    advice = "give a text file with a name in each line, or write [<name>, ...]"
    try:
        lines = read_lines(file, f"the file of names {file}", where=where, fix=advice)
    except CompileError as error:
        raise UsageError(error.what, where=error.where, why=error.why, fix=error.fix) from error
    return [name for line in lines if (name := line.strip())]


def shipped_names(key: str, name: str) -> dict[str, Any] | None:
    """The content of a file of ours in `conf/classes/` or `conf/keypoints/`; None where there is none."""
    from omegaconf import OmegaConf

    file = config_folder() / key / f"{name}.yaml"
    if not re.fullmatch(r"\w+", name) or not file.is_file():
        return None
    found: Any = OmegaConf.to_container(OmegaConf.load(file))
    return dict(found)


def _names(key: str, named: Any) -> Mapping[str, Any] | list[str]:
    """What a config says that things are called: a list, a set of ours, a file; or how many there are."""
    if isinstance(named, int) and not isinstance(named, bool) and 0 < named <= LARGEST_NUMBER:
        return unnamed(key, named)
    if isinstance(named, str):
        own = shipped_names(key, named)
        return own if own is not None else read_names(Path(named), f"{key}={named}")
    if not isinstance(named, list | tuple) or not all(isinstance(name, str | int) for name in named):
        raise UsageError(
            f"{key} is no list of names",
            where=f"{key}={named!r:.60}",
            fix=f"write {key}=[<name>, ...], the name of a file with a name in each line, or how many there are",
        )
    return [str(name) for name in named]


def _replaced(model: Mapping[str, Any], one: Counted, node: Mapping[str, Any], listed: list[str]) -> dict[str, Any]:
    if not one.names.endswith(".names"):
        return with_value(model, one.names, listed)
    return with_value(model, one.names.removesuffix(".names"), dict(node))


def _grouped(model: Mapping[str, Any], tasks: Any, names: list[str]) -> dict[str, Any]:
    """A model with as many classes, in groups of the same sizes."""
    sizes = [len(task["class_names"]) for task in tasks]
    if len(names) != sum(sizes):
        raise UsageError(
            f"there are {len(names)} classes, and {model.get('name')} has groups for {sum(sizes)}",
            where=f"classes={names}",
            why="its classes stand in groups, and nobody says which belong together",
            fix=f"give {sum(sizes)} names, or set model.{TASKS} and model.{TASK_CLASSES}",
        )
    rest = iter(names)
    groups = [{**task, "class_names": list(islice(rest, size))} for task, size in zip(tasks, sizes, strict=True)]
    changed = with_value(with_value(model, TASKS, groups), TASK_CLASSES, names)
    return with_value(changed, HEAD_TASKS, groups) if value_at(model, HEAD_TASKS) is not MISSING else changed


def _other_side(side: re.Match[str]) -> str:
    other = "right" if side[0].lower() == "left" else "left"
    return other.upper() if side[0].isupper() else other.title() if side[0].istitle() else other
