"""Engine -> Bundle: a folder that stands on its own, in the layout that MMDeploy's SDK opens too."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compiler.artifact import Engine, TensorSpec, write_json, write_text
from compiler.config import CompileConfig
from compiler.runtime import CONFIG_FILE
from compiler.tasks import AnyTask

SDK_LAYOUT = "1.3.1"
"""The version of MMDeploy whose `deploy.json`, `pipeline.json` and `detail.json` these are."""


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
    pipeline = task.sdk_pipeline(config.resolved_shape.dynamic, config.sizes)
    if pipeline is not None:
        write_json(folder / "deploy.json", _deploy(config, task, engine))
        write_json(folder / "pipeline.json", pipeline)
        write_json(folder / "detail.json", _detail(config, task, engine))


def config_yaml(config: CompileConfig) -> str:
    """Return the whole config as YAML, every interpolation resolved."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(json.loads(json.dumps(asdict(config)))))


def _deploy(config: CompileConfig, task: AnyTask, engine: Engine) -> dict[str, Any]:
    batch = engine.inputs[0].shape[0]
    model = {
        "name": task.sdk_model,
        "net": engine.file,
        "weights": "",
        "backend": engine.backend["name"],
        "precision": config.precision.upper(),
        "batch_size": batch if isinstance(batch, int) else config.batch.largest,
        "dynamic_shape": config.resolved_shape.dynamic,
    }
    return {"version": SDK_LAYOUT, "task": task.sdk_task, "models": [model], "customs": []}


def _detail(config: CompileConfig, task: AnyTask, engine: Engine) -> dict[str, Any]:
    codebase = task.sdk_codebase()
    height, width = config.resolved_shape.usual[-2:]
    specs = (*engine.inputs, *engine.outputs)
    return {
        "version": SDK_LAYOUT,
        "codebase": {
            "task": codebase["task"],
            "codebase": codebase["type"],
            "pth": config.checkpoint or "",
            "config": config.model.openmmlab,
        },
        "codebase_config": codebase,
        "onnx_config": {
            "type": "onnx",
            "opset_version": config.export.opset,
            "save_file": engine.file,
            "input_names": [spec.name for spec in engine.inputs],
            "output_names": [spec.name for spec in engine.outputs],
            "input_shape": [width, height],
            "dynamic_axes": {spec.name: _named_axes(spec) for spec in specs if _named_axes(spec)},
        },
        "backend_config": {"type": engine.backend["name"]},
        "calib_config": {},
    }


def _named_axes(spec: TensorSpec) -> dict[str, str]:
    return {str(axis): size for axis, size in enumerate(spec.shape) if isinstance(size, str)}
