"""The files beside an engine that MMDeploy's SDK opens it with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compiler.artifact import Engine, TensorSpec, write_json
from compiler.config import CompileConfig
from compiler.tasks import AnyTask

SDK_LAYOUT = "1.3.1"
"""The version of MMDeploy whose `deploy.json`, `pipeline.json` and `detail.json` these are."""


def write_sdk_files(folder: Path, config: CompileConfig, task: AnyTask, engine: Engine) -> None:
    """Write `deploy.json`, `pipeline.json` and `detail.json`; nothing where the SDK has no such task."""
    pipeline = task.sdk_pipeline(config.resolved_shape.dynamic, config.sizes)
    if pipeline is not None:
        write_json(folder / "deploy.json", _deploy(config, task, engine))
        write_json(folder / "pipeline.json", pipeline)
        write_json(folder / "detail.json", _detail(config, task, engine))


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
