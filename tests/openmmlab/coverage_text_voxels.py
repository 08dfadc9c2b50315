"""Which published configs of MMOCR and MMDetection3D build a network, and why the others do not."""

from __future__ import annotations

import torch

from compiler.errors import CompileError
from compiler.networks import build
from compiler.openmmlab.reader import read_config
from compiler.openmmlab.translate import translate
from tests.openmmlab.wheels import published_configs, wheel_configs

# Detectors of text and CRNN; everything that looks at pillars, whatever head is on it.
TEXT = ("DBNet", "PSENet", "PANet", "CRNN")
PILLARS = ("PillarFeatureNet", "DynamicPillarFeatureNet", "HardVFE")


def coverage(package: str) -> dict[str, str]:
    """Return, for each config of a package whose algorithm we have, why it builds no network; nothing where it does."""
    reasons = {}
    for path in published_configs(package):
        try:
            config = read_config(path)
        except CompileError:
            continue
        if _is_ours(config.get("model") or {}) and "_base_" not in str(path):
            reasons[str(path.relative_to(wheel_configs(package)))] = _reason(config, str(path))
    return reasons


def _is_ours(model: dict) -> bool:
    encoder = model.get("pts_voxel_encoder") or model.get("voxel_encoder") or {}
    return model.get("type") in TEXT or encoder.get("type") in PILLARS


def _reason(config: dict, source: str) -> str:
    try:
        network = translate(config, source)["network"]
        with torch.device("meta"):
            build(network)
    except CompileError as error:
        return error.what
    return ""
