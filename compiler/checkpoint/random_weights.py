"""Weights for a network without a checkpoint: deterministic, and of a trained network's size."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

PRIOR_LOGIT = math.log(0.01 / 0.99)
"""Where classifiers of detectors start (focal loss, arXiv:1708.02002): few of many candidates are objects."""


def random_weights(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Deterministic weights for a network without a checkpoint.

    Every tensor depends on its key and shape alone. Kernels are scaled by their fan-in. Normalisations expect inputs of
    a variance near 1, and amplify: where an activation is all but linear, a network forgets its input.
    """
    import torch

    return {
        key: torch.from_numpy(_draw(key, tuple(tensor.shape))).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor.clone()
        for key, tensor in state_dict.items()
    }


def _draw(key: str, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    generator = np.random.default_rng(zlib.crc32(key.encode()))
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "running_var":
        values = generator.uniform(0.5, 1.5, shape)
    elif leaf == "running_mean":
        values = generator.normal(0.0, 0.1, shape)
    elif len(shape) > 1:
        fan_in = int(np.prod(shape[1:])) or 1
        values = generator.normal(0.0, fan_in**-0.5, shape)
    elif "bias" in leaf:
        is_among_many = "_cls." in key and shape[0] > 1
        values = generator.normal(PRIOR_LOGIT if is_among_many else 0.0, 0.05, shape)
    else:
        values = generator.uniform(1.0, 2.0, shape)
    return np.asarray(values, dtype=np.float32)
