"""Engine -> Bundle: a folder that stands on its own, in the layout that MMDeploy's SDK opens too."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from compiler.artifact import Engine, write_text
from compiler.config import CompileConfig
from compiler.mmdeploy import write_sdk_files
from compiler.runtime import CONFIG_FILE
from compiler.tasks import AnyTask


def write_bundle(folder: Path, config: CompileConfig, task: AnyTask, engine: Engine) -> None:
    """Write everything that opening and running the engine needs into an empty folder.

    Args:
        folder: The bundle-to-be.
        config: What was compiled; written in full.
        task: Pre- and post-processing.
        engine: Copied.
    """
    shutil.copytree(engine.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("done.json"))
    write_text(folder / CONFIG_FILE, config_yaml(config))
    write_sdk_files(folder, config, task, engine)


def config_yaml(config: CompileConfig) -> str:
    """Return the whole config as YAML, every interpolation resolved."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(json.loads(json.dumps(asdict(config)))))
