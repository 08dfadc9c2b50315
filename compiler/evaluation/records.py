"""Results as lines of JSON, and back: what was found is kept, and measured without running anything again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from compiler.errors import CompileError
from compiler.tasks import AnyTask
from compiler.tasks.pose import TopdownPose
from compiler.tasks.pose.bottomup import PersonPose


def result_class(task: AnyTask, *, scored_boxes: bool) -> type[Any]:
    """What a task finds; a pose that is looked for in a box with a score has the score of the person.

    Raises:
        CompileError: The task does not say what it finds.
    """
    if task.result_class is None:
        raise CompileError(
            f"results of the task {task.name} cannot be kept",
            where="bundles",
            why=f"{type(task).__name__} does not say which class they are of",
            fix="let it say so: result_class; or run the bundle in Python, compiler.runtime.open(bundle)",
        )
    return PersonPose if isinstance(task, TopdownPose) and scored_boxes else task.result_class


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
    return kind(**{name: read(record[name]) for name, read in _readers(kind).items()})  # type: ignore[arg-type]


@cache
def _readers(kind: type[Any]) -> Mapping[str, Callable[[Any], Any]]:
    """What reads each field of a class of results, of which there may be millions; what is no number is a text."""
    hints = get_type_hints(kind)
    return {field.name: _reader(hints[field.name]) for field in fields(kind)}


def _reader(hint: Any) -> Callable[[Any], Any]:
    if hint is float:
        return float
    if get_origin(hint) is tuple:
        return _floats if get_args(hint)[0] is float else tuple
    return _array_or_value


def _floats(values: list[Any]) -> tuple[float, ...]:
    return tuple(map(float, values))


def _array_or_value(value: Any) -> Any:
    return np.array(value, np.float32) if isinstance(value, list) else value
