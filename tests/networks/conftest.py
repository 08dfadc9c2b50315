"""Model configs, and the reference outputs that networks are held to."""

import json
import zlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from compiler.selection.candidates import Candidates
from tests.networks.parity import PARITY, read_reference
from tests.parity import weights as deterministic_weights

ROOT = Path(__file__).parents[2]


@cache
def _composed(name: str) -> DictConfig:
    with initialize_config_dir(version_base=None, config_dir=str(ROOT / "conf")):
        return compose("compile", overrides=[f"model={name}"]).model


def compose_model(name: str) -> DictConfig:
    return deepcopy(_composed(name))


@pytest.fixture(scope="session")
def model():
    return compose_model


@pytest.fixture(scope="session")
def weights() -> ModuleType:
    return deterministic_weights


@pytest.fixture(scope="session")
def references():
    return read_reference


@pytest.fixture(scope="session")
def reference() -> dict[str, Any]:
    """The original RTMPose-m."""
    return read_reference("rtmpose_m")


@pytest.fixture(scope="session")
def raw_outputs():
    """Draw the raw outputs that an original decoder was run on, in order: `raw_outputs("yolov3_d53")`."""

    def draw(name: str) -> list[np.ndarray]:
        rules = json.loads((PARITY / "decode" / f"{name}.json").read_text())["rules"]
        outputs = []
        for rule in sorted(rules, key=lambda rule: rule["name"]):
            values = np.random.default_rng(zlib.crc32(rule["key"].encode())).normal(
                rule["loc"], rule["scale"], rule["shape"]
            )
            outputs.append((np.abs(values) if rule["abs"] else values).astype(np.float32))
        return outputs

    return draw


@pytest.fixture(scope="session")
def mmdet_nms():
    """Select boxes as MMDetection 3.3 does: `mmdet_nms(candidates, test_cfg)` gives boxes, scores and labels.

    The candidates are those of one image, with a batch axis of 1; `test_cfg` is as in an MMDetection config.
    """

    def select(groups: Sequence[Candidates], test_cfg: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        chosen = [_best_pairs(group, test_cfg) for group in groups]
        boxes, scores, labels = (np.concatenate(parts) for parts in zip(*chosen, strict=True))
        large = (boxes[:, 2:] - boxes[:, :2] > test_cfg["min_bbox_size"]).all(axis=1)
        boxes, scores, labels = boxes[large], scores[large], labels[large]
        kept = np.concatenate(
            [_suppress(boxes, scores, np.flatnonzero(labels == label), test_cfg) for label in np.unique(labels)]
        )
        kept = kept[np.argsort(-scores[kept], kind="stable")][: test_cfg["max_per_img"]]
        return boxes[kept], scores[kept], labels[kept]

    return select


def _best_pairs(group: Candidates, test_cfg: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return box, score and label of the `nms_pre` best pairs of a box and a class."""
    (boxes,), (scores,) = group.boxes.numpy(), group.scores.numpy()
    factors = np.ones(len(boxes), np.float32) if group.factors is None else group.factors[0].numpy()
    candidate = (scores > test_cfg["score_thr"]) & (factors >= test_cfg.get("conf_thr", 0))[:, None]
    index, label = np.nonzero(candidate)
    best = np.argsort(-scores[index, label], kind="stable")[: test_cfg["nms_pre"]]
    index, label = index[best], label[best]
    return boxes[index], scores[index, label] * factors[index], label


def _suppress(boxes: np.ndarray, scores: np.ndarray, index: np.ndarray, test_cfg: Mapping[str, Any]) -> np.ndarray:
    """Return those of the boxes at `index`, of one class, that overlap none that scores more."""
    waiting = index[np.argsort(-scores[index], kind="stable")]
    kept = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        corner = np.maximum(boxes[best, :2], boxes[waiting, :2])
        common = np.clip(np.minimum(boxes[best, 2:], boxes[waiting, 2:]) - corner, 0, None).prod(axis=1)
        area = (boxes[best, 2:] - boxes[best, :2]).prod() + (boxes[waiting, 2:] - boxes[waiting, :2]).prod(axis=1)
        waiting = waiting[common / (area - common) <= test_cfg["nms"]["iou_threshold"]]
    return np.array(kept, np.int64)
