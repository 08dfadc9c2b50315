"""Build the tasks of detectors, as the compiler does."""

from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from compiler.tasks import AnyTask, build_task

CONFIGS = Path(__file__).parents[2] / "conf"


@cache
def detector(name: str, tail: str = "native") -> AnyTask:
    """The task of a model config, with one of the tails; composed once, as no test changes it."""
    with initialize_config_dir(version_base=None, config_dir=str(CONFIGS)):
        config = compose("compile", [f"model={name}", f"tail={tail}"])
    node: Any = OmegaConf.to_container(config.model.processing, resolve=True)
    return build_task(node)
