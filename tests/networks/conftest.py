"""Model configs, and the reference outputs that networks are held to."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

ROOT = Path(__file__).parents[2]
PARITY = ROOT / "tests" / "parity"


def compose_model(name: str) -> DictConfig:
    with initialize_config_dir(version_base=None, config_dir=str(ROOT / "conf")):
        return compose(f"model/{name}").model


@pytest.fixture(scope="session")
def model():
    return compose_model


@pytest.fixture(scope="session")
def weights() -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity_weights", PARITY / "weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def reference() -> dict[str, Any]:
    """The original RTMPose-m: its description, with its raw outputs under `arrays`."""
    description = json.loads((PARITY / "rtmpose_m.json").read_text())
    with np.load(PARITY / "rtmpose_m.npz") as arrays:
        description["arrays"] = dict(arrays)
    return description
