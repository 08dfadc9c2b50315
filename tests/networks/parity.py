"""The originals that networks are held to: what they were given, and what they gave."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from torch import nn

PARITY = Path(__file__).parents[1] / "parity"

# Our model, and the reference outputs of the original.
MODELS = {
    "centerpoint": "centerpoint_pillar02",
    "crnn": "crnn",
    "dbnet": "dbnet_r18",
    "hourglass": "hourglass52",
    "hrnet": "hrnet_w32",
    "litehrnet": "litehrnet_18",
    "mspn": "mspn50",
    "mspn-2x": "mspn50_2x",
    "panet": "panet_r18",
    "pointpillars": "pointpillars_kitti3",
    "psenet": "psenet_r50",
    "retinanet": "retinanet_r50",
    "rtmdet-tiny": "rtmdet_tiny",
    "rtmpose": "rtmpose_m",
    "simcc-res50": "simcc_res50",
    "yolov3": "yolov3_d53",
    "yoloxpose": "yoloxpose_s",
}
_VOXELS = ("voxels", "num_points", "coors")
# Of the outputs of the original, those that it predicts from, where it has others for training.
_PREDICTED = {"crnn": ["out.probs"], "dbnet": ["out.prob_map"]}


def read_reference(name: str) -> dict[str, Any]:
    """Return the description of an original model, with its raw and decoded outputs under `arrays`."""
    description = json.loads((PARITY / f"{name}.json").read_text())
    with np.load(PARITY / f"{name}.npz") as arrays:
        description["arrays"] = dict(arrays)
    return description


def inputs_of(original: dict[str, Any], weights: ModuleType) -> dict[str, np.ndarray]:
    """Return what the original was given, by name."""
    if original["input"]["kind"] == "points":
        return {name: original["arrays"][name] for name in _VOXELS}
    return {"input": weights.image(original["input"]["seed"], tuple(original["input"]["shape"]))}


def state_of(network: nn.Module) -> list[list[Any]]:
    """Return the key, shape and element type of each tensor in a network, in order."""
    return [[key, list(v.shape), str(v.dtype).removeprefix("torch.")] for key, v in network.state_dict().items()]


def outputs_of(name: str, original: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the descriptions of the outputs of the original that one of our models has too."""
    predicted = _PREDICTED.get(name)
    return [output for output in original["outputs"] if predicted is None or output["name"] in predicted]


def distance(output: np.ndarray, expected: dict[str, Any], original: dict[str, Any]) -> float:
    """Return how far an output is from the original's, in standard deviations of it; `inf` if it has another shape.

    Args:
        output: Of our model.
        expected: Its description, one of `outputs_of`.
        original: The original, with its arrays.
    """
    if list(output.shape) != expected["shape"]:
        return float("inf")
    reference = original["arrays"][expected["name"]].ravel()
    return float(np.abs(output.ravel()[:: expected["step"]] - reference).max() / expected["std"])
