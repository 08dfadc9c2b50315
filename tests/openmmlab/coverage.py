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
from compiler.openmmlab.translate.pose import HEADS as POSE_HEADS
from tests.openmmlab import coverage_text_voxels
from tests.openmmlab.wheels import published_configs, wheel_configs

HEADS = {"mmpose": POSE_HEADS, "mmdet": DETECTION_HEADS}


def coverage(package: str) -> dict[str, str]:
    """Return, for each config of a package whose head we have, why it builds no network; nothing where it does."""
    if package not in HEADS:
        return coverage_text_voxels.coverage(package)
    reasons = {}
    for path in published_configs(package):
        try:
            config = read_config(path)
        except CompileError:
            continue
        model = config.get("model") or {}
        head = model.get("head") or model.get("bbox_head") or {}
        if "_base_" not in path.parts and isinstance(head, Mapping) and head.get("type") in HEADS[package]:
            reasons[str(path.relative_to(wheel_configs(package)))] = _reason(config, str(path))
    return reasons


def _reason(config: Mapping[str, Any], source: str) -> str:
    try:
        network = translate(config, source)["network"]
        with torch.device("meta"):
            build(network)
    except CompileError as error:
        return f"{error.what}: {error.why}" if error.why else error.what
    return ""


if __name__ == "__main__":
    for package in ("mmpose", "mmdet", "mmocr", "mmdet3d"):
        reasons = coverage(package)
        built = sum(not reason for reason in reasons.values())
        print(f"{package}: {built} of {len(reasons)}")
        for reason, count in Counter(filter(None, reasons.values())).most_common():
            print(f"{count:5}  {reason}")
