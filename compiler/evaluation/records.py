"""Results as lines of JSON, and back: what was found is kept, and measured without running anything again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, get_origin, get_type_hints

import numpy as np

from compiler.errors import CompileError
from compiler.tasks import AnyTask
from compiler.tasks.detection import Detection
from compiler.tasks.pose import Pose, TopdownPose
from compiler.tasks.pose.bottomup import PersonPose
from compiler.tasks.text_detection import TextInstance
from compiler.tasks.text_recognition import Text
from compiler.tasks.voxel_detection import Detection3D

RESULTS: Mapping[str, type[Any]] = {
    "detection": Detection,
    "pose-detection": PersonPose,
    "text-detection": TextInstance,
    "text-recognition": Text,
    "voxel-detection": Detection3D,
}
"""What tasks find, by their names."""


def result_class(task: AnyTask, *, scored_boxes: bool) -> type[Any]:
    """What a task finds; a pose that is looked for in a box with a score has the score of the person.

    Raises:
        CompileError: No metric is known for the task.
    """
    if task.name not in RESULTS:
        raise CompileError(
            f"there is no metric for the task {task.name}",
            where="bundles",
            why=f"metrics are known for {', '.join(RESULTS)}",
            fix="run the bundle in Python, compiler.runtime.open(bundle), and measure what it gives",
        )
    return Pose if isinstance(task, TopdownPose) and not scored_boxes else RESULTS[task.name]


def to_record(result: Any) -> dict[str, Any]:
    """A result as JSON can hold it."""
    record: dict[str, Any] = result.to_dict()
    return record


def from_record(kind: type[Any], record: Mapping[str, Any]) -> Any:
    """The result that a record was made of: the same to the last bit, as JSON writes numbers.

    Args:
        kind: Its class.
        record: See `to_record`.
    """
    return kind(**{name: _value(record[name], is_tuple) for name, is_tuple in _fields(kind).items()})  # type: ignore[arg-type]


@cache
def _fields(kind: type[Any]) -> Mapping[str, bool]:
    """The fields of a class of results, and whether each is a tuple and no array; there may be millions of results."""
    hints = get_type_hints(kind)
    return {field.name: get_origin(hints[field.name]) is tuple for field in fields(kind)}


def _value(value: Any, is_tuple: bool) -> Any:
    if not isinstance(value, list):
        return value
    return tuple(value) if is_tuple else np.array(value, np.float32)
