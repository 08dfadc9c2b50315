"""What configs of an earlier layout say, as it is said today: they still compose, and such bundles still open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from compiler.config.schema import CompileConfig

Node = TypeVar("Node", dict[str, Any], dict[str, Any] | None)

MOVED: Mapping[str, str] = {
    "compiler.networks.tails.DetectionTail": "compiler.selection.tail.DetectionTail",
    "compiler.tasks.bottomup": "compiler.tasks.pose.bottomup",
    "compiler.tasks.codecs": "compiler.tasks.pose.codecs",
    "compiler.tasks.keypoints": "compiler.tasks.pose.keypoints",
    "compiler.tasks.tensors": "compiler.tasks.arrays.task",
    "compiler.tasks.text.dictionary": "compiler.tasks.text_recognition.dictionary",
    "compiler.tasks.text": "compiler.tasks.text_detection",
    "compiler.tasks.voxels": "compiler.tasks.voxel_detection",
}
"""Modules and classes, each with where it is now."""

PLUGIN = "plugin"
"""A tail of its own before a graph rewriter made the plugin's node of the native one."""
PLUGIN_BACKEND, PLUGIN_REWRITER = "tensorrt", "fuse_nms"
"""The backend that has the plugin, and the rewriter."""


def present_target(target: str) -> str:
    """The dotted path of a class as it is today, for one of today or of an earlier layout."""
    moved = next((old for old in MOVED if f"{target}.".startswith(f"{old}.")), None)
    return target if moved is None else MOVED[moved] + target.removeprefix(moved)


def present_config(config: CompileConfig) -> CompileConfig:
    """A config as it is written today.

    Where its network ends in the tail `plugin`, it ends in the native one, and where the backend has the plugin, the
    rewriter that makes its node must act. `tail` itself keeps what was named.
    """
    model = config.model
    tail, processing = _native(model.tail, "kind"), _native(model.processing, "tail")
    if (tail, processing) == (model.tail, model.processing):
        return config
    required = config.rewriters.require
    if config.backend["name"] == PLUGIN_BACKEND and PLUGIN_REWRITER not in required:
        required = (*required, PLUGIN_REWRITER)
    return replace(
        config,
        tail=PLUGIN,
        model=replace(model, tail=tail, processing=processing),
        rewriters=replace(config.rewriters, require=required),
    )


def hints(config: CompileConfig) -> tuple[str, ...]:
    """What a user should know of how a config that says things as before was understood."""
    if config.tail != PLUGIN or not config.model.tail:
        return ()
    fused = "makes it the one node EfficientNMS_TRT"
    if config.backend["name"] == PLUGIN_BACKEND:
        today = f"tail=native with rewriters.require=[{PLUGIN_REWRITER}], which {fused}"
    else:
        other = f"{config.backend['name']} is given the native tail as it is"
        today = f"tail=native, and only backend={PLUGIN_BACKEND} {fused}: {other}"
    return (f"tail={PLUGIN} is now called {today}",)


def _native(node: Node, key: str) -> Node:
    return {**node, key: "native"} if node and node.get(key) == PLUGIN else node
