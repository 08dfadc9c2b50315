"""Where classes lie that a bundle of an earlier layout names: such bundles still open."""

from __future__ import annotations

from collections.abc import Mapping

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
