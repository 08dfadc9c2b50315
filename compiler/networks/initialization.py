"""Deterministic weights that make a network behave as a trained one does, for use without a checkpoint."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.artifact import Tensors
from compiler.checkpoint import random_weights
from compiler.proof import proof_of
from compiler.tasks import build_task

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.utils.hooks import RemovableHandle

    from compiler.config.sizes import Size

_DRAWING = RLock()


@contextmanager
def seeded() -> Iterator[None]:
    """Around what builds a network: what it draws is the same each time, whatever other threads draw."""
    import torch

    with _DRAWING, torch.random.fork_rng(devices=()):
        before = random.getstate(), np.random.get_state()
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])


def fill_with_random_weights(network: nn.Module, inputs: Tensors) -> None:
    """Give a network random weights, and scale its batch normalisations to real input, as training would.

    Without the second step what a deep network adds up grows from block to block, by orders of magnitude, and absolute
    errors would be no measure of a trained network's.

    Args:
        network: Filled in place; raw outputs, without a tail.
        inputs: Real ones, such as `sample_inputs`.
    """
    import torch

    network.load_state_dict(random_weights(network.state_dict()))
    with _scaling(network), torch.no_grad():
        network(*(torch.from_numpy(tensor) for tensor in inputs.values()))


def sample_inputs(processing: Mapping[str, Any], size: Size) -> Tensors:
    """A network's inputs, of one item, from the sample that ships with its task.

    Args:
        processing: The task's node.
        size: Of the network's input.
    """
    task = build_task(processing)
    tensors: Tensors = proof_of(task).samples(task.read(task.sample_source()), 1, size).tensors
    return tensors


@contextmanager
def _scaling(network: nn.Module) -> Iterator[None]:
    """Scale the statistics of batch normalisations to the first input that each of them is given."""
    from torch.nn.modules.batchnorm import _BatchNorm

    hooks: dict[nn.Module, RemovableHandle] = {}

    def scale(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        # One factor for all channels: a mean of each would be taken from what little differs between two inputs.
        power = inputs[0].square().mean()
        module.get_buffer("running_mean").mul_(power.sqrt())
        module.get_buffer("running_var").mul_(power)
        hooks.pop(module).remove()

    for module in network.modules():
        if isinstance(module, _BatchNorm):
            hooks[module] = module.register_forward_pre_hook(scale)
    yield
    for hook in hooks.values():
        hook.remove()
