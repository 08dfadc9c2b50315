"""What a bundle of an earlier layout says in words that changed since: such bundles still open."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

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

RETIRED_BACKEND_KEYS: Mapping[str, str] = {
    "precisions": "PRECISIONS",
    "ir": "PROGRAM",
    "exporter": "EXPORTER",
    "tail": "TAIL",
    "quantization": "QUANTIZATION",
}
"""Keys that a backend's config had, each with the attribute of the backend's class that says the same."""


def present_target(target: str) -> str:
    """The dotted path of a class as it is today, for one of today or of an earlier layout."""
    moved = next((module for module in MOVED if target.startswith(f"{module}.")), None)
    return target if moved is None else MOVED[moved] + target.removeprefix(moved)


def present_backend(node: Mapping[str, Any], options: Collection[str]) -> dict[str, Any]:
    """A backend's config node without the keys that were retired.

    Args:
        node: As a bundle has it.
        options: The backend's, which keep their keys even where an earlier key was called alike.
    """
    return {key: value for key, value in node.items() if key in options or key not in RETIRED_BACKEND_KEYS}
