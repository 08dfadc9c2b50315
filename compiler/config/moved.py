"""What configs and bundles of an earlier layout say, as it is said today: they compose and open as before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from compiler.errors import UsageError

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

RETIRED_BACKEND_KEYS: Mapping[str, str] = {
    "precisions": "PRECISIONS",
    "ir": "PROGRAM",
    "exporter": "EXPORTER",
    "tail": "TAIL",
    "quantization": "quantization",
}
"""Keys that a backend's config had, each with the attribute of the backend's class that says the same."""


INPUT_ALIASES = ("image", "points", "arrays")
"""Keys that `input` had, one for each kind of input; on the command line they are understood for good."""


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


def present_backend(node: Mapping[str, Any], options: Collection[str]) -> dict[str, Any]:
    """A backend's config node without the keys that were retired.

    Args:
        node: As a bundle has it.
        options: The backend's, which keep their keys even where an earlier key was called alike.
    """
    return {key: value for key, value in node.items() if key in options or key not in RETIRED_BACKEND_KEYS}


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
