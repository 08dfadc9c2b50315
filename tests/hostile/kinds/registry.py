"""The kinds of hostile input, by their names."""

from __future__ import annotations

from collections.abc import Mapping

from tests.hostile.case import Kind
from tests.hostile.kinds import (
    annotations,
    bundles,
    caches,
    checkpoints,
    commands,
    inputs,
    onnx_graphs,
    openmmlab,
    videos,
)

STARTING = ("onnx-file", "command", "overrides", "cache")
"""Kinds whose cases start another interpreter: a network is tried in a process of its own."""
KINDS: Mapping[str, Kind] = {
    "bundle-config": bundles.bundle_kind(bundles.change_config),
    "bundle-engine": bundles.bundle_kind(bundles.change_engine),
    "bundle-sidecar": bundles.bundle_kind(bundles.change_sidecar),
    "bundle-lock": bundles.bundle_kind(bundles.change_lock),
    "bundle-report": bundles.bundle_kind(bundles.change_report),
    "bundle-model": bundles.bundle_kind(bundles.change_model),
    "bundle-recording": bundles.recording,
    "bundle-files": bundles.bundle_kind(bundles.change_files),
    "checkpoint": checkpoints.checkpoint,
    "openmmlab-structure": openmmlab.openmmlab_structure,
    "openmmlab-text": openmmlab.openmmlab_text,
    "onnx-file": onnx_graphs.onnx_file,
    "image": inputs.image,
    "video": videos.video,
    "points": inputs.points,
    "arrays": inputs.arrays,
    "boxes": inputs.boxes,
    "annotations": annotations.annotations,
    "command": commands.command,
    "overrides": commands.overrides,
    "config-folder": commands.config_folder,
    "cache": caches.cache,
}
