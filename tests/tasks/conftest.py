"""The task of a model config, and what is needed to check it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from compiler.tasks import build_task
from compiler.tasks.images import read_image
from compiler.tasks.pose import TopdownPose

ROOT = Path(__file__).parents[2]


def pose_node(name: str) -> dict[str, Any]:
    """Return the `processing` node of a model config as plain containers."""
    with initialize_config_dir(version_base=None, config_dir=str(ROOT / "conf")):
        return OmegaConf.to_container(compose(f"model/{name}").model.processing, resolve=True)


@pytest.fixture
def node() -> dict[str, Any]:
    return pose_node("rtmpose")


@pytest.fixture(scope="session")
def task() -> TopdownPose:
    built = build_task(pose_node("rtmpose"))
    assert isinstance(built, TopdownPose)
    return built


@pytest.fixture(scope="session")
def photograph(task) -> np.ndarray:
    return read_image(task.sample_source())
