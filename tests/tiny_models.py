"""Models of a few layers in a user's config folder: in all but their networks they are RTMDet, DBNet and CRNN.

What looks at a bundle, and not at a network, costs a tenth with them: a runtime, MMDeploy's SDK, a plan.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from compiler import pipeline
from compiler.config import compose
from tests.conftest import REPOSITORY, made_once

MODULE = "tiny_networks"
NETWORKS = '''
import torch
from torch import nn
from torch.nn import functional

from compiler.selection.candidates import Candidates


class TinyDetector(nn.Module):
    """A box and the scores of 80 classes in every 32 x 32 pixels."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 4 + 80, 32, 32)

    def forward(self, images):
        return (self.head(images),)

    def decode(self, outputs, height, width):
        boxes, scores = outputs[0].flatten(2).transpose(1, 2).split([4, 80], dim=2)
        corners = boxes[..., :2].sigmoid() * 200
        sides = boxes[..., 2:].sigmoid() * 100 + 1
        return (Candidates(torch.cat([corners, corners + sides], dim=2), scores.sigmoid()),)


class TinyText(nn.Module):
    """Takes darkness, blurred across letters and words, for how probable text is."""

    def forward(self, images):
        dark = (1.5 - functional.avg_pool2d(images.mean(1, keepdim=True), 3, 2, 1)).relu()
        dark = functional.max_pool2d(dark, 3, 2, 1)
        for _ in range(2):
            dark = functional.avg_pool2d(dark, 3, 1, 1)
        enlarged = dark.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
        return (torch.sigmoid(5 * enlarged - 4).squeeze(1),)


class TinyReader(nn.Module):
    """Reads a character in most columns with ink, and in those without none."""

    def __init__(self):
        super().__init__()
        self.columns = nn.Conv2d(1, 37, (32, 8), (1, 4), padding=(0, 4))
        self.register_buffer("blank", torch.eye(37)[36] * 0.5, persistent=False)

    def forward(self, crops):
        logits = self.columns((1 - crops) / 2).squeeze(2).transpose(1, 2) + self.blank
        return (torch.softmax(8 * logits, dim=-1),)
'''
MODELS = {
    "tiny-detector": ("rtmdet", "TinyDetector"),
    "tiny-text": ("dbnet", "TinyText"),
    "tiny-reader": ("crnn", "TinyReader"),
}


def write_tiny_models(folder: Path) -> Path:
    """Write the module of the networks into a folder, and beside it the config folder, which is returned."""
    (folder / f"{MODULE}.py").write_text(NETWORKS)
    configs = folder / "conf/model"
    configs.mkdir(parents=True)
    for name, (like, network) in MODELS.items():
        model = yaml.safe_load((REPOSITORY / f"conf/model/{like}.yaml").read_text())
        del model["openmmlab"], model["official"]
        model |= {"name": name, "network": {"_target_": f"{MODULE}.{network}"}}
        (configs / f"{name}.yaml").write_text(yaml.safe_dump(model, sort_keys=False))
    return configs.parent


def tiny_bundle(shared_folder: Path, model: str, shape: str) -> Path:
    """The bundle of such a model, compiled once for all tests and the processes that run them."""

    def make(folder: Path) -> None:
        config = compose([f"model={model}", f"shape={shape}", f"output={folder}/outputs"], write_tiny_models(folder))
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(folder)
            assert not pipeline.compile_bundle(config).problem
        sys.modules.pop(MODULE, None)

    folder = made_once(shared_folder / f"{model}_{shape}", make)
    return next(lock.parent for lock in folder.glob("outputs/**/lock.json"))
