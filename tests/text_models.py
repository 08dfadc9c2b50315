"""Weights with which DBNet finds the lines of a printed page, and CRNN reads several characters in each word.

With random weights, what they find depends so little on the pixels that to compare it would prove little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from compiler.config import compose
from compiler.networks.catalogue import build_network
from compiler.proof import proof_of
from compiler.tasks import build_task
from tests.compiling import compile_here
from tests.conftest import made_once


@torch.no_grad()
def let_find_lines(network: Any) -> None:
    """Let a DBNet take darkness, blurred across letters and words, for how probable text is.

    The first channel of every feature map on the way from the image holds the darkness.
    """
    backbone, neck, head = network.backbone, network.neck, network.det_head.binarize
    backbone.conv1.weight[0] = 0
    backbone.conv1.weight[0, :, 2:5, 2:5] = -1 / 27
    for norm in (backbone.bn1, head[1], head[4]):
        norm.reset_parameters()
    backbone.bn1.bias.fill_(1.5)
    for block in backbone.layer1:
        block.bn2.weight.zero_()
        block.bn2.bias.zero_()
    for lateral in neck.lateral_convs:
        _pass_on(lateral.conv, 0)
    _pass_on(neck.lateral_convs[0].conv, 1)
    _pass_on(neck.smooth_convs[0].conv, 1 / 9)
    _pass_on(head[0], 1 / 9)
    _pass_on(head[3], 1)
    _pass_on(head[6], 5, bias=-4)


@torch.no_grad()
def let_read_words(network: Any) -> None:
    """Scale a CRNN's logits so that they differ as much from column to column as from character to character."""
    task = build_task(compose(["model=crnn"]).model.processing)
    crops = proof_of(task).samples(task.read(task.sample_source()), 4, (32, 96)).tensors["input"]
    logits = network.decoder.logits(network.backbone(torch.from_numpy(crops)))
    last = network.decoder.decoder[1].embedding
    factor = 3 / logits.std((0, 1))
    last.bias.sub_(logits.mean((0, 1))).mul_(factor)
    last.weight.mul_(factor[:, None])


TEXT_MODELS: Mapping[str, Callable[[nn.Module], None]] = MappingProxyType(
    {"dbnet": let_find_lines, "crnn": let_read_words}
)


def text_overrides(model: str, folder: Path) -> tuple[str, ...]:
    """Write the weights of a model into a folder, and return what compiles it with them."""
    network = build_network(model)
    TEXT_MODELS[model](network)
    checkpoint = folder / f"{model}.pth"
    torch.save(network.state_dict(), checkpoint)
    # The reader multiplies what its LSTMs round by almost a hundred.
    return f"model={model}", f"checkpoint={checkpoint}", "verify.tolerance=1e-3"


def text_bundle(shared_folder: Path, cache: Path, model: str, shape: str) -> Path:
    """The bundle of a model, compiled once for all tests and the processes that run them."""

    def make(folder: Path) -> None:
        outcome, _ = compile_here(folder / "outputs", cache, *text_overrides(model, folder), f"shape={shape}")
        assert not outcome.problem

    folder = made_once(shared_folder / f"{model}_{shape}", make)
    return next(lock.parent for lock in folder.glob("outputs/**/lock.json"))


def _pass_on(convolution: nn.Conv2d | nn.ConvTranspose2d, weight: float, bias: float = 0) -> None:
    """Let a convolution give `weight` times its first channel, summed over its kernel, as the first; and no others."""
    convolution.weight.zero_()
    convolution.weight[0, 0] = weight
    if convolution.bias is not None:
        convolution.bias.fill_(bias)
