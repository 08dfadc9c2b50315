"""What lies around a voxel detector's network costs."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.table import Table

from compiler.tasks import build_task
from compiler.tasks.points import Points
from compiler.tasks.voxel_detection import VoxelDetection
from tests.benchmarks.measure import seconds_of
from tests.tasks.raw_maps import raw_maps

ROOT = Path(__file__).parents[2]
MODELS = {"pointpillars": "pointpillars_kitti3", "centerpoint": "centerpoint_pillar02"}
"""Our model, and the raw outputs that the original's decoder was run on: as many boxes as can be."""
MANY_POINTS = 120_000
ROUNDS = 20


def voxels_table() -> Table:
    """Time reading, sorting into voxels and decoding: on the sample scan, and on one of 120 000 points."""
    title = f"voxel detection without the network, median of {ROUNDS} runs"
    table = Table("model", "points", "voxels", "read ms", "voxelise ms", "decode ms", title=title, title_justify="left")
    for name, reference in MODELS.items():
        task = _task(name)
        outputs = raw_maps(ROOT / "tests/parity", reference, task.outputs)
        scan = task.read(task.sample_source())
        for points in (scan, _many(scan)):
            prepared = task.preprocess(points, None)
            source = task.sample_source() if points is scan else points
            times = [
                _milliseconds(lambda task=task, source=source: task.read(source)),
                _milliseconds(lambda task=task, points=points: task.preprocess(points, None)),
                _milliseconds(lambda task=task, outputs=outputs, p=prepared: task.decode(outputs, p)),
            ]
            table.add_row(name, str(len(points)), str(len(prepared.tensors["coors"])), *times)
    return table


def _task(name: str) -> VoxelDetection:
    with initialize_config_dir(version_base=None, config_dir=str(ROOT / "conf")):
        node = OmegaConf.to_container(compose("compile", [f"model={name}"]).model.processing, resolve=True)
    task = build_task(node)
    assert isinstance(task, VoxelDetection)
    return task


def _many(scan: Points) -> Points:
    """Return the points of a scan again and again, scattered by a metre."""
    generator = np.random.default_rng(0)
    points = scan[generator.integers(len(scan), size=MANY_POINTS)]
    points[:, :2] += generator.normal(0, 1, (MANY_POINTS, 2)).astype(np.float32)
    return points


def _milliseconds(run: Callable[[], object]) -> str:
    return f"{1000 * statistics.median(seconds_of(run) for _ in range(ROUNDS)):.1f}"
