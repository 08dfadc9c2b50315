"""nuScenes' mean average precision and detection score, as MMDetection3D 1.4.0's `NuScenesMetric` has them computed.

https://www.nuscenes.org/object-detection, with the settings of `detection_cvpr_2019` (arXiv:1903.11027).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from compiler.artifact.files import write_json
from compiler.datasets.dataset import Dataset, Item, WorldFrame
from compiler.errors import CompileError
from compiler.metrics.checks import require_numbers
from compiler.metrics.clouds import require_frame, solids_of
from compiler.metrics.metric import Metric, Predictions
from compiler.metrics.nuscenes_boxes import CLASS_RANGES, Boxes, found_in_world, true_in_world
from compiler.metrics.nuscenes_matching import ERRORS, matches
from compiler.tasks import AnyTask
from compiler.tasks.voxel_detection import Detection3D, VoxelDetection

DISTANCES = (0.5, 1.0, 2.0, 4.0)
"""Metres between centres up to which what was found is true."""
DISTANCE_OF_ERRORS = 2.0
"""The one of them at which errors are measured."""
UNDEFINED: Mapping[str, tuple[str, ...]] = {
    "traffic_cone": ("orient_err", "vel_err", "attr_err"),
    "barrier": ("vel_err", "attr_err"),
}
"""Errors that say nothing of a class."""
MEANS: Mapping[str, str] = dict(zip(ERRORS, ("mATE", "mASE", "mAOE", "mAVE", "mAAE"), strict=True))
"""The name of each error's mean over the classes."""
PRECISION_WEIGHT = 5
"""Of the mean average precision in the detection score, beside 1 for each error."""


@dataclass(frozen=True)
class NuScenes(Metric):
    """MMDetection3D's `NuScenesMetric`, for scanners."""

    TASKS: ClassVar[tuple[str, ...]] = ("voxel-detection",)
    HEADLINE: ClassVar[str] = "NuScenes/NDS"

    def fitted(self, task: AnyTask, dataset: Dataset) -> NuScenes:
        """Itself, where the model looks for classes of nuScenes."""
        looked_for = task.classes if isinstance(task, VoxelDetection) else tuple(CLASS_RANGES)
        unknown = [one for one in looked_for if one not in CLASS_RANGES]
        if unknown:
            raise CompileError(
                "the model looks for what nuScenes does not",
                where=", ".join(unknown),
                why=f"its classes are {', '.join(CLASS_RANGES)}",
                fix="evaluate a model of nuScenes' classes",
            )
        return self

    def score(self, predictions: Predictions, dataset: Dataset) -> Mapping[str, float]:
        """Precisions from 0 to 1, errors in their units, by class and as means, the detection score and the mAP."""
        samples = list(_samples(predictions, dataset))
        scores: dict[str, float] = {}
        for name in CLASS_RANGES:
            scores |= {f"NuScenes/{name}_{key}": value for key, value in _of_class(samples, name).items()}
        means = {
            mean: _mean([scores[f"NuScenes/{name}_{error}"] for name in CLASS_RANGES]) for error, mean in MEANS.items()
        }
        precision = _mean([scores[f"NuScenes/{name}_AP_dist_{one}"] for name in CLASS_RANGES for one in DISTANCES])
        total = PRECISION_WEIGHT * precision + sum(max(0.0, 1 - error) for error in means.values())
        scores |= {f"NuScenes/{mean}": value for mean, value in means.items()}
        return {**scores, "NuScenes/NDS": total / (PRECISION_WEIGHT + len(means)), "NuScenes/mAP": precision}

    def loss(self, found: Sequence[Detection3D], dataset: Dataset) -> float:
        """One minus the mean average precision of the classes that are in the sample."""
        samples = list(_samples([found], dataset))
        names = sorted(set(samples[0][0].names.tolist()))
        precisions = [_of_class(samples, name)[f"AP_dist_{one}"] for name in names for one in DISTANCES]
        return 1 - _mean(precisions) if precisions else math.nan

    def write(self, predictions: Predictions, dataset: Dataset, folder: Path) -> tuple[Path, ...]:
        """A `results_nusc.json`, as nuScenes' server reads it."""
        results = {
            str(item.identity): list(_records(item, found_in_world(found, solids_of(item), _frame(item))))
            for item, found in zip(dataset.items, predictions, strict=True)
        }
        uses = {f"use_{source}": source == "lidar" for source in ("camera", "lidar", "radar", "map", "external")}
        path = folder / "results_nusc.json"
        write_json(path, {"meta": uses, "results": results})
        return (path,)


def _samples(predictions: Predictions, dataset: Dataset) -> Iterator[tuple[Boxes, Boxes]]:
    """Yield what is true and what was found of every sample, as far as it counts."""
    for item, found in zip(dataset.items, predictions, strict=True):
        solids, frame = solids_of(item), _frame(item)
        yield true_in_world(solids, frame), found_in_world(found, solids, frame)


def _of_class(samples: Sequence[tuple[Boxes, Boxes]], name: str) -> dict[str, float]:
    """The average precisions and the errors of a class."""
    alike = [(true[true.names == name], found[found.names == name]) for true, found in samples]
    by_distance = {distance: matches(alike, distance) for distance in DISTANCES}
    precisions = {f"AP_dist_{distance}": one.average_precision for distance, one in by_distance.items()}
    undefined = UNDEFINED.get(name, ())
    of_hits = by_distance[DISTANCE_OF_ERRORS]
    return precisions | {error: math.nan if error in undefined else of_hits.error(error) for error in ERRORS}


def _mean(values: Sequence[float]) -> float:
    return float(np.nanmean(values))


def _frame(item: Item) -> WorldFrame:
    return require_frame(
        item,
        WorldFrame,
        "scanner",
        why="nuScenes' objects are measured in the frame of the world",
        fix="evaluate on a data set in nuScenes' own tables",
    )


def _records(item: Item, boxes: Boxes) -> Iterator[dict[str, Any]]:
    """Yield what was found of a sample as nuScenes has it."""
    for row, name in enumerate(boxes.names.tolist()):
        length, width, height = boxes.sizes[row].tolist()
        half = float(boxes.yaws[row]) / 2
        record = {
            "sample_token": str(item.identity),
            "translation": boxes.centers[row].tolist(),
            "size": [width, length, height],
            "rotation": [math.cos(half), 0.0, 0.0, math.sin(half)],
            "velocity": np.nan_to_num(boxes.velocities[row]).tolist(),
            "detection_name": name,
            "detection_score": float(boxes.scores[row]),
            "attribute_name": boxes.attributes[row].item(),
        }
        yield require_numbers(record, item.identity)
