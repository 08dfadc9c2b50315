"""Cache keys: for each stage, everything that its result depends on, and nothing else."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import platform
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import compiler
import rewriters
from compiler.artifact import digest, file_digest, installed_version, source_digest
from compiler.pipeline.job import Job
from rewriters import Rewriter, Selection
from rewriters.registry import ENTRY_POINT_GROUP

LIBRARIES = (
    "torch",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "onnx-graphsurgeon",
    "numpy",
    "opencv-python-headless",
    "pyclipper",
)

Key = dict[str, Any]


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of the libraries that a result can depend on, and of the compiler's own source."""
    return {
        "python": platform.python_version(),
        "compiler": _own_source(),
        **{name: installed_version(name) for name in LIBRARIES},
    }


def run_key(job: Job) -> Key:
    """Return what a whole bundle depends on. Needs neither torch nor the rewriters, so that it is quick to look up."""
    config = asdict(job.config)
    for where_not_what in ("output", "cache", "cache_limit", "input", "input_kind", "checkpoint"):
        del config[where_not_what]
    del config["model"]["file"]
    made_of = {"config": config, "calibration": _calibration(job), "probe": asdict(job.probe)}
    return {**made_of, "plugins": _plugins(), **_input(job), **_brought(job), **_tools()}


def load_key(job: Job) -> Key:
    """Return what the loaded weights depend on."""
    model = job.config.model
    network = {"network": model.network, "target": model.target, "kwargs": model.kwargs, "inputs": model.inputs}
    key = {**network, **_brought(job), **_tools(*job.origin.tools)}
    if job.checkpoint is None:
        key |= {"processing": model.processing, "size": job.config.sizes.usual}
    return key


def export_key(job: Job, selection: Selection, load: Key) -> Key:
    """Return what the exported Program depends on; the backend is not part of it unless a rewriter asks for one."""
    config = job.config
    return {
        "load": digest(load),
        "exporter": config.exporter,
        "opset": config.export.opset,
        "shape": str(config.resolved_shape),
        "batch": config.fixed_batch,
        "tail": config.model.tail,
        "names": (job.task.inputs, job.task.outputs),
        **_rewriters(selection, (*selection.functions, *selection.modules)),
        **_tools("torch", "onnx", "onnxscript"),
    }


def rewrite_key(selection: Selection, export: Key) -> Key:
    """Return what the rewritten Program depends on."""
    return {
        "export": digest(export),
        **_rewriters(selection, selection.graphs),
        **_tools("onnx", "onnx-graphsurgeon"),
    }


def calibrate_key(job: Job, rewrite: Key) -> Key:
    """Return what the ranges of int8 depend on."""
    return {
        "rewrite": digest(rewrite),
        "method": job.config.calibration.method,
        "items": _calibration(job),
        "input": str(job.config.usual_input),
        "processing": job.config.model.processing,
        **({} if job.calibration else _input(job)),
        **_tools(),
    }


def reduce_key(job: Job, before: Key) -> Key:
    """Return what the Program in a lower precision depends on."""
    config = job.config
    return {
        "before": digest(before),
        "precision": config.precision,
        "keep_fp32": config.keep_fp32,
        "auto": config.calibration.auto,
        "quantization": job.backend.quantization,
        "tolerance": asdict(config.verify),
        "input": str(config.usual_input),
        "processing": config.model.processing,
        **_input(job),
        **_tools(),
    }


def build_key(job: Job, program: Key) -> Key:
    """Return what the engine depends on."""
    return {
        "program": digest(program),
        "backend": job.backend.node(),
        "probe": asdict(job.probe),
        "inputs": list(map(str, job.config.proof_inputs)),
        **_tools(),
    }


def verify_key(job: Job, build: Key) -> Key:
    """Return what the proof depends on."""
    return {
        "build": digest(build),
        "processing": job.config.model.processing,
        "inputs": list(map(str, job.config.proof_inputs)),
        "sizes": asdict(job.config.sizes),
        "tolerance": asdict(job.config.verify),
        "require": job.config.rewriters.require,
        **_input(job),
        **_tools(),
    }


def _brought(job: Job) -> Key:
    return {"checkpoint": job.checkpoint_digest, "own": job.origin.digest}


def _input(job: Job) -> Key:
    boxes = None if job.sample.boxes is None else job.sample.boxes.tolist()
    return {"source": file_digest(job.source_path), "boxes": boxes}


def _calibration(job: Job) -> list[tuple[str, tuple[tuple[float, ...], ...] | None]]:
    return [(file, item.boxes) for file, item in zip(job.calibration_digests, job.calibration, strict=True)]


def _tools(*names: str) -> Key:
    return {"tools": {name: versions()[name] for name in ("compiler", *(names or LIBRARIES))}}


def _rewriters(selection: Selection, chosen: Iterable[Rewriter]) -> Key:
    """Return the rewriters with their source; and the target, where one of them depends on it."""
    chosen = tuple(chosen)
    sources = {rewriter.source: _module_digest(rewriter.source.partition(":")[0]) for rewriter in chosen}
    depends_on_target = any(rewriter.conditions.specificity for rewriter in chosen)
    return {"rewriters": sources, "target": asdict(selection.target) if depends_on_target else None}


def _plugins() -> Key:
    return {
        f"{point.dist.name if point.dist else '?'} {point.value}": _module_digest(point.module)
        for point in entry_points(group=ENTRY_POINT_GROUP)
    }


def _module_digest(name: str) -> str:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return ""
    return file_digest(Path(spec.origin)) if spec and spec.origin and Path(spec.origin).is_file() else ""


@functools.cache
def _own_source() -> str:
    packages = (compiler, rewriters)
    folders = (Path(package.__file__).parent for package in packages if package.__file__)
    return source_digest(folders)[:16]
