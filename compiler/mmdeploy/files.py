"""The files that MMDeploy's SDK opens a bundle by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compiler.artifact import Engine, TensorSpec, write_json
from compiler.config import CompileConfig
from compiler.mmdeploy.detection import ObjectDetectionSdk
from compiler.mmdeploy.pose import BottomupPoseSdk, TopdownPoseSdk
from compiler.mmdeploy.sdk_model import SdkModel
from compiler.mmdeploy.text_detection import TextDetectionSdk
from compiler.mmdeploy.text_recognition import TextRecognitionSdk
from compiler.tasks import AnyTask
from compiler.tasks.detection import ObjectDetection
from compiler.tasks.pose.bottomup import BottomupPose
from compiler.tasks.pose.topdown import TopdownPose
from compiler.tasks.text_detection import TextDetection
from compiler.tasks.text_recognition import TextRecognition

SDK_LAYOUT = "1.3.1"
"""The version of MMDeploy whose `deploy.json`, `pipeline.json` and `detail.json` these are."""

WEIGHTS = ".bin"
"""How the file ends that OpenVINO's weights are in, and ncnn's: beside the graph, which is the engine's first file."""

SDK_MODELS: Mapping[type[AnyTask], type[SdkModel[Any]]] = {
    BottomupPose: BottomupPoseSdk,
    ObjectDetection: ObjectDetectionSdk,
    TextDetection: TextDetectionSdk,
    TextRecognition: TextRecognitionSdk,
    TopdownPose: TopdownPoseSdk,
}
"""The tasks that the SDK has."""


def sdk_model(task: AnyTask) -> SdkModel[Any] | None:
    """A task in the SDK's words, that of the class that it derives from; None where the SDK has no such task."""
    kinds = (SDK_MODELS[kind] for kind in type(task).__mro__ if kind in SDK_MODELS)
    return next((kind(task) for kind in kinds), None)


def write_sdk_files(folder: Path, config: CompileConfig, task: AnyTask, engine: Engine) -> None:
    """Write `deploy.json`, `pipeline.json` and `detail.json`; nothing where the SDK cannot run the task."""
    model = sdk_model(task)
    pipeline = model.pipeline(config.resolved_shape.dynamic, config.sizes) if model else None
    if model is None or pipeline is None:
        return
    write_json(folder / "deploy.json", _deploy(config, model, engine))
    write_json(folder / "pipeline.json", pipeline)
    write_json(folder / "detail.json", _detail(config, model, engine))


def _deploy(config: CompileConfig, model: SdkModel[Any], engine: Engine) -> dict[str, Any]:
    batch = engine.inputs[0].shape[0]
    network = {
        "name": model.model_name,
        "net": engine.file,
        "weights": next((name for name in engine.files[1:] if name.endswith(WEIGHTS)), ""),
        "backend": engine.backend["name"],
        "precision": config.precision.upper(),
        "batch_size": batch if isinstance(batch, int) else config.batch.largest,
        "dynamic_shape": config.resolved_shape.dynamic,
    }
    return {"version": SDK_LAYOUT, "task": model.task_name, "models": [network], "customs": []}


def _detail(config: CompileConfig, model: SdkModel[Any], engine: Engine) -> dict[str, Any]:
    codebase = model.codebase()
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
