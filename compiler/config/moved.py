"""What a bundle of an earlier layout names: where its classes lie now, and which keys say nothing any more."""

from __future__ import annotations

from collections.abc import Mapping
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

RETIRED: Mapping[str, frozenset[str]] = {"compiler.backends.": frozenset({"quantization"})}
"""Keys that the classes of a package had: what they said is in the engine."""


def present_target(target: str) -> str:
    """The dotted path of a class as it is today, for one of today or of an earlier layout."""
    moved = next((module for module in MOVED if target.startswith(f"{module}.")), None)
    return target if moved is None else MOVED[moved] + target.removeprefix(moved)


def without_retired_keys(node: Mapping[str, Any]) -> dict[str, Any]:
    """A node of a finished engine as today's class takes it."""
    package = next((package for package in RETIRED if str(node.get("_target_", "")).startswith(package)), None)
    return {key: value for key, value in node.items() if package is None or key not in RETIRED[package]}
