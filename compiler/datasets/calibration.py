"""What int8 is calibrated on: files of a folder, of a list, of annotations or of OpenMMLab's datasets, preprocessed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.artifact import Tensors
from compiler.config import CompileConfig
from compiler.config.sizes import InputSize
from compiler.errors import CompileError
from compiler.proof import AnyProof
from compiler.tasks import AnySample, AnyTask

SUFFIXES = {
    "image": (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"),
    "points": (".bin",),
    "arrays": (".npy", ".npz"),
}
"""Of the files that a task looks at, by its source."""
VARIATIONS = 8
"""Of the proof's input, where there is no other data."""


@dataclass(frozen=True)
class Item:
    """One thing to calibrate on.

    Attributes:
        path: The file.
        boxes: Where its objects are, x1, y1, x2, y2 each; None for the whole.
    """

    path: Path
    boxes: list[list[float]] | None = None


def find_items(config: CompileConfig, task: AnyTask) -> tuple[Item, ...]:
    """Return what a config says to calibrate on, at most `calibration.limit` items; nothing where it says nothing.

    Raises:
        CompileError: The data is not there, holds nothing that the task looks at, or is no list of files.
    """
    if config.calibration.data is None:
        return ()
    data, limit = Path(config.calibration.data), config.calibration.limit
    if not data.exists():
        fix = "check the path; it is seen from the current folder"
        raise _unusable("the calibration data does not exist", data, fix=fix)
    if data.is_dir():
        files = (path for path in sorted(data.rglob("*")) if path.is_file())
        found = [Item(path) for path in files if path.suffix.lower() in SUFFIXES[task.source]]
    else:
        found = _named(data, config.model.packages)
    if not found:
        known = ", ".join(SUFFIXES[task.source])
        raise _unusable(
            "the calibration data holds nothing that the model looks at",
            data,
            why=f"a model of this task reads {known}",
            fix="name a folder of such files, a list of them (.txt), annotations (.json) or an OpenMMLab config (.py)",
        )
    chosen = tuple(found[:: math.ceil(len(found) / limit)])
    for item in chosen:
        if not item.path.is_file():
            fix = "paths in a list or in annotations are seen from its folder, those in a config from the current one"
            raise _unusable("the calibration data names a file that does not exist", data, str(item.path), fix)
    return chosen


def batches(items: Sequence[Item], proof: AnyProof, usual: InputSize, sample: AnySample | None) -> Iterator[Tensors]:
    """Yield the network's inputs for every item, of the usual batch and size.

    Args:
        items: What to calibrate on.
        proof: Makes items of one size out of a sample.
        usual: The batch and size.
        sample: Where there are no items, variations of it.

    Raises:
        CompileError: A file cannot be read.
    """
    task = proof.task
    if sample is not None:
        count = max(VARIATIONS, usual.batch) if task.batched else usual.batch
        yield from _of_usual_batch(proof.samples(sample, count, usual.size).tensors, count, usual.batch)
    for item in items:
        read = task.read(item.path, item.boxes if task.takes_boxes else None)
        count = usual.batch if read.boxes is None else max(usual.batch, len(read.boxes))
        yield from _of_usual_batch(proof.samples(read, count, usual.size).tensors, count, usual.batch)


def _of_usual_batch(tensors: Tensors, count: int, batch: int) -> Iterator[Tensors]:
    """Yield `count` items in batches; a rest that fills none is left out."""
    if count == batch:
        yield tensors
        return
    for start in range(0, count - batch + 1, batch):
        yield {name: tensor[start : start + batch] for name, tensor in tensors.items()}


def _named(data: Path, packages: Mapping[str, str]) -> list[Item]:
    """Return what a file names."""
    match data.suffix:
        case ".json":
            return _annotated(data, data, data.parent)
        case ".py":
            from compiler.openmmlab.datasets import validation_datasets

            datasets = validation_datasets(data, {name: Path(folder) for name, folder in packages.items()})
            return [item for one in datasets for item in _annotated(data, one.annotations, one.images)]
        case _:
            return _listed(data)


def _listed(data: Path) -> list[Item]:
    try:
        lines = [line.strip() for line in data.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable("the list of calibration data cannot be read", data, why=str(error)) from error
    return [Item(data.parent / line) for line in lines if line and not line.startswith("#")]


def _annotated(data: Path, annotations: Path, images: Path) -> list[Item]:
    """Return the images of COCO annotations, each with the boxes of its objects; or of MMOCR's, without boxes.

    Args:
        data: What the user named.
        annotations: The file.
        images: The folder that the images' names are seen from.
    """
    try:
        content = json.loads(annotations.read_text(encoding="utf-8"))
        if "data_list" in content:
            return [Item(images / entry["img_path"]) for entry in content["data_list"]]
        boxes: dict[Any, list[list[float]]] = {}
        for annotation in content.get("annotations", ()):
            x, y, width, height = map(float, annotation["bbox"])
            if width > 0 and height > 0:
                boxes.setdefault(annotation["image_id"], []).append([x, y, x + width, y + height])
        return [Item(images / image["file_name"], boxes.get(image["id"])) for image in content["images"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unusable(
            f"{annotations.name} holds no COCO annotations",
            data,
            why=f"{annotations}: {type(error).__name__}: {error}",
            fix="they have images with file_name and id, and annotations with image_id and bbox; MMOCR's, a data_list",
        ) from error


def _unusable(what: str, data: Path, why: str = "", fix: str = "") -> CompileError:
    return CompileError(what, where=f"calibration.data={data}", why=why, fix=fix)
