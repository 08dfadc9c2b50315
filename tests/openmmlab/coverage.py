"""Which published configs of the algorithms that we have build a network: `python -m tests.openmmlab.coverage`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch

from compiler.errors import CompileError
from compiler.networks import build
from compiler.openmmlab.reader import read_config
from compiler.openmmlab.translate import translate
from compiler.openmmlab.translate.detection import HEADS as DETECTION_HEADS
from compiler.openmmlab.translate.pose_networks import HEADS as POSE_HEADS
from tests.openmmlab.wheels import VERSIONS, published_configs, wheel_configs

# A model has an algorithm of ours if one of these places holds a type of these, whatever its other parts are.
ALGORITHMS = {
    "mmpose": {"head": POSE_HEADS},
    "mmdet": {"bbox_head": DETECTION_HEADS},
    "mmocr": {"": ("DBNet", "PSENet", "PANet", "CRNN")},
    "mmdet3d": dict.fromkeys(
        ("voxel_encoder", "pts_voxel_encoder"), ("PillarFeatureNet", "DynamicPillarFeatureNet", "HardVFE")
    ),
}


def coverage(package: str) -> dict[str, str]:
    """Return, for each config of a package whose algorithm we have, why it builds no network; nothing where it does."""
    reasons = {}
    for path in published_configs(package):
        try:
            config = read_config(path)
        except CompileError:
            continue
        if "_base_" not in str(path) and _is_ours(config.get("model") or {}, package):
            reasons[str(path.relative_to(wheel_configs(package)))] = _reason(config, str(path))
    return reasons


def _is_ours(model: Mapping[str, Any], package: str) -> bool:
    parts = {place: model.get(place) if place else model for place in ALGORITHMS[package]}
    return any(isinstance(part, Mapping) and part.get("type") in ALGORITHMS[package][at] for at, part in parts.items())


def _reason(config: Mapping[str, Any], source: str) -> str:
    try:
        network = translate(config, source)["network"]
        with torch.device("meta"):
            build(network)
    except CompileError as error:
        return f"{error.what}: {error.why}" if error.why else error.what
    return ""


if __name__ == "__main__":
    for package in VERSIONS:
        reasons = coverage(package)
        built = sum(not reason for reason in reasons.values())
        print(f"{package}: {built} of {len(reasons)}")
        for reason, count in Counter(filter(None, reasons.values())).most_common():
            print(f"{count:5}  {reason}")
