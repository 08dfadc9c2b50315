"""What configs of an earlier layout name, as it is today: such bundles still open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compiler.errors import UsageError

MOVED: Mapping[str, str] = {
    "compiler.tasks.bottomup": "compiler.tasks.pose.bottomup",
    "compiler.tasks.codecs": "compiler.tasks.pose.codecs",
    "compiler.tasks.keypoints": "compiler.tasks.pose.keypoints",
    "compiler.tasks.tensors": "compiler.tasks.arrays.task",
    "compiler.tasks.text.dictionary": "compiler.tasks.text_recognition.dictionary",
    "compiler.tasks.text": "compiler.tasks.text_detection",
    "compiler.tasks.voxels": "compiler.tasks.voxel_detection",
}
"""Modules, each with where it is now."""


def present_target(target: str) -> str:
    """The dotted path of a class as it is today, for one of today or of an earlier layout."""
    moved = next((module for module in MOVED if target.startswith(f"{module}.")), None)
    return target if moved is None else MOVED[moved] + target.removeprefix(moved)


INPUT_ALIASES = ("image", "points", "arrays")
"""Keys that `input` had, one for each kind of input; on the command line they are understood for good."""


def with_present_keys(values: Any) -> dict[str, Any]:
    """The values of a config by the keys of today: what an alias names is the `input`, of that `input_kind`.

    Raises:
        UsageError: It is no group of keys, or two inputs are named.
    """
    if not isinstance(values, Mapping):
        raise UsageError("the config is not a group of keys", why=f"it is {values!r:.60}")
    present = {str(key): value for key, value in values.items() if key not in INPUT_ALIASES}
    given = {key: values[key] for key in ("input", *INPUT_ALIASES) if values.get(key) is not None}
    if len(given) > 1:
        where = " ".join(f"{key}={file}" for key, file in given.items())
        raise UsageError("two inputs are given", where=where, fix="give one, as input=<file>")
    for kind, file in given.items():
        if kind != "input":
            present |= {"input": file, "input_kind": kind}
    return present
