"""Facts that a model's config has in two places: where both are written out, they agree or the config is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from compiler.config.literal import Reference
from compiler.errors import UsageError

MISSING = object()

HEAD_TASKS, TASKS, TASK_CLASSES = "network.pts_bbox_head.tasks", "processing.decoder.tasks", "processing.classes"
"""Where classes stand in groups, and without them."""

_ENCODERS = ("voxel_encoder", "pts_voxel_encoder")

SAME: tuple[tuple[str, str], ...] = (
    ("tail.test_cfg", "processing.test_cfg"),
    ("network.head.input_size", "processing.input_size"),
    ("network.head.simcc_split_ratio", "processing.codec.simcc_split_ratio"),
    ("processing.codec.input_size", "processing.input_size"),
    *((f"network.{encoder}.voxel_size", "processing.voxelization.voxel_size") for encoder in _ENCODERS),
    *((f"network.{encoder}.point_cloud_range", "processing.voxelization.point_cloud_range") for encoder in _ENCODERS),
    *((f"network.{encoder}.in_channels", "processing.used_dimensions") for encoder in _ENCODERS),
    (HEAD_TASKS, TASKS),
    ("processing.decoder.bbox_coder.voxel_size", "processing.voxelization.voxel_size"),
    ("processing.decoder.bbox_coder.pc_range", "processing.voxelization.point_cloud_range"),
)
"""Pairs of places in a model with one value; the second is where it is written. Of a list there, the first may hold the
beginning."""


@dataclass(frozen=True)
class Counted:
    """How many things a network tells apart, and their names.

    Attributes:
        count: The place of the number in a model.
        names: The place of the names.
        key: What sets both, at the top of a config; empty where nothing does.
        blank: How many more the network tells apart: one, where it says that there is nothing.
    """

    count: str
    names: str
    key: str = ""
    blank: int = 0


COUNTED = (
    Counted("network.bbox_head.num_classes", "processing.classes.names", "classes"),
    Counted("network.bbox_head.num_classes", "processing.classes", "classes"),
    Counted("network.head.out_channels", "processing.keypoints.names", "keypoints"),
    Counted("network.head.num_keypoints", "processing.keypoints.names", "keypoints"),
    Counted("network.decoder.num_classes", "processing.dictionary.characters", blank=1),
)


def value_at(node: Any, path: str) -> Any:
    """The value at a dotted path, `MISSING` where there is none."""
    for key in path.split("."):
        if not isinstance(node, Mapping) or key not in node:
            return MISSING
        node = node[key]
    return node


def with_value(node: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A tree of mappings with another value at a dotted path."""
    key, _, rest = path.partition(".")
    return {**node, key: with_value(node[key], rest, value) if rest else value}


def counted_in(model: Mapping[str, Any]) -> Iterator[Counted]:
    """Yield what a model counts and names."""
    for one in COUNTED:
        if isinstance(value_at(model, one.count), int) and isinstance(value_at(model, one.names), list | tuple | str):
            yield one


def with_references(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model in which what is the same in two places is written in one, and referred to from the other."""
    written = dict(model)
    for place, origin in SAME:
        value, original = value_at(model, place), value_at(model, origin)
        if value is not MISSING and _plain(value) == _plain(original):
            above = "." * len(place.split("."))
            written = with_value(written, place, Reference(f"${{{above}{origin}}}"))
    return written


def check_consistency(name: str, model: Mapping[str, Any]) -> None:
    """Refuse a model of which two places contradict each other.

    Args:
        name: The model's.
        model: The parts `network`, `tail` and `processing`.

    Raises:
        UsageError: It names both places, and the override that changes both.
    """
    for place, origin in SAME:
        _check_same(name, place, value_at(model, place), origin, value_at(model, origin))
    for one in counted_in(model):
        _check_count(name, one, value_at(model, one.count), value_at(model, one.names))
    _check_tasks(name, value_at(model, TASKS), value_at(model, TASK_CLASSES))
    _check_anchors(name, model)


def _check_same(name: str, place: str, value: Any, origin: str, original: Any) -> None:
    if MISSING in (value, original):
        return
    first, second = _plain(value), _plain(original)
    if isinstance(first, list) and isinstance(second, list):
        second = second[: len(first)]
    if first != second:
        key, mine, theirs = _difference(first, second)
        raise UsageError(
            f"two places in {name} contradict each other",
            where=f"model.{place}{key}={mine}, model.{origin}{key}={theirs}",
            why="both are one and the same setting",
            fix=f"set model.{origin}{key} alone, and let model.{place} be ${{model.{origin}}} or the same",
        )


def _difference(first: Any, second: Any) -> tuple[str, Any, Any]:
    """Where two values differ first, and how."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = (key for key in {**first, **second} if first.get(key, MISSING) != second.get(key, MISSING))
        key = next(keys)
        return f".{key}", first.get(key, "left out"), second.get(key, "left out")
    return "", first, second


def _check_count(name: str, one: Counted, count: int, names: Any) -> None:
    if count == len(names) + one.blank:
        return
    things = one.key or "characters"
    blank = " and one for none" if one.blank else ""
    both = f"{one.key}=[<{count} names>] sets both" if one.key else f"set model.{one.names} and model.{one.count} alike"
    raise UsageError(
        f"the network of {name} tells {count - one.blank} {things} apart{blank}, and there are names for {len(names)}",
        where=f"model.{one.count}={count}, model.{one.names}",
        why="each name is of one score of the network, by its place",
        fix=f"{both}, in the order of the training",
    )


def _check_tasks(name: str, tasks: Any, classes: Any) -> None:
    if MISSING in (tasks, classes) or not isinstance(classes, list | tuple):
        return
    grouped = [one for task in tasks for one in task["class_names"]]
    if grouped != list(classes):
        raise UsageError(
            f"the classes of {name} are others than those in its tasks",
            where=f"model.{TASK_CLASSES}, model.{TASKS}",
            why=f"the first are {', '.join(map(str, classes))}, and the tasks hold {', '.join(map(str, grouped))}",
            fix="name the same classes in the same order in both",
        )


def _check_anchors(name: str, model: Mapping[str, Any]) -> None:
    count = value_at(model, "network.bbox_head.num_anchors")
    generator = value_at(model, "processing.decoder.anchor_generator")
    if MISSING in (count, generator):
        return
    expected = len(generator["sizes"]) * len(generator["rotations"])
    if count != expected:
        raise UsageError(
            f"the network of {name} has {count} anchors at a place, and its decoder {expected}",
            where="model.network.bbox_head.num_anchors, model.processing.decoder.anchor_generator",
            why="there is one of each size in each rotation",
            fix=f"set model.network.bbox_head.num_anchors={expected}",
        )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
