"""A network of three layers as a user brings it, for tests of whole compiles in which no model matters."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

NETWORK = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
"""
IMAGE = np.random.default_rng(0).normal(size=(1, 3, 6, 6)).astype(np.float32)


@contextmanager
def small_network(folder: Path, module: str) -> Iterator[tuple[str, ...]]:
    """Write the network as a module of this name, and give the overrides that compile it while it can be imported."""
    (folder / f"{module}.py").write_text(NETWORK)
    sys.path.insert(0, str(folder))
    try:
        yield ("model=torch", f"model.target={module}:build", "model.inputs.input=1x3x6x6", "shape=static")
    finally:
        sys.path.remove(str(folder))
