"""What int8 is calibrated on: files of a folder, of a list, of annotations or of OpenMMLab's datasets, preprocessed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from compiler.artifact import Tensors, reading
from compiler.config import CompileConfig
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.config.sizes import InputSize
from compiler.datasets.annotations import FORMATS, read_annotations
from compiler.datasets.dataset import Dataset, Item
from compiler.datasets.lists import read_folder, read_list
from compiler.errors import CompileError
from compiler.openmmlab.datasets import annotation_files
from compiler.proof import AnyProof
from compiler.tasks import AnySample, AnyTask

KEY = "calibration.data"
VARIATIONS = 8
"""Of the proof's input, where there is no other data."""
BATCHES_AT_ONCE = 16
"""Of the boxes of one file: no more are in memory."""


def find_items(config: CompileConfig, task: AnyTask) -> tuple[Item, ...]:
    """What a config says to calibrate on, at most `calibration.limit` items; nothing where it says nothing.

    Raises:
        CompileError: The data is not there, holds nothing that the task looks at, or is no list of files.
    """
    if config.calibration.data is None:
        return ()
    data, limit = Path(config.calibration.data), config.calibration.limit
    with reading(data, "the calibration data cannot be read", where=f"{KEY}={data}"):
        if not data.exists():
            fix = "check the path; it is seen from the current folder"
            raise _unusable("the calibration data does not exist", data, fix=fix)
    found = _items(data, task, config.model.packages)
    found = tuple(item for item in found if not task.takes_boxes or item.boxes != ())
    if not found:
        known = ", ".join(task.looks_at.suffixes)
        raise _unusable(
            "the calibration data holds nothing that the model looks at",
            data,
            why=f"a model of this task reads {known}",
            fix="name a folder of such files, a list of them (.txt), annotations (.json) or an OpenMMLab config (.py)",
        )
    chosen = found[:: math.ceil(len(found) / limit)]
    for item in chosen:
        with reading(item.path, "the calibration data names a file that cannot be read"):
            is_file = item.path.is_file()
        if not is_file:
            fix = "paths in a list or in annotations are seen from its folder, those in a config from the current one"
            raise _unusable("the calibration data names a file that does not exist", data, str(item.path), fix)
    return chosen


def batches(
    items: Sequence[Item], proof: AnyProof, usual: InputSize, sample: AnySample | None, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Tensors]:
    """Yield the network's inputs for every item, of the usual batch and size.

    Args:
        items: What to calibrate on.
        proof: Makes items of one size out of a sample.
        usual: The batch and size.
        sample: Where there are no items, variations of it.
        limits: What an item may cost.

    Raises:
        CompileError: A file cannot be read, or is beyond the limits.
    """
    task = proof.task
    if sample is not None:
        count = max(VARIATIONS, usual.batch) if task.batched else usual.batch
        yield from _of_usual_batch(proof.samples(sample, count, usual.size).tensors, count, usual.batch)
    for item in items:
        read = task.read(item.path, item.boxes if task.takes_boxes else None, limits)
        for part in read.parts(usual.batch * BATCHES_AT_ONCE):
            count = _count(part, usual)
            yield from _of_usual_batch(proof.samples(part, count, usual.size).tensors, count, usual.batch)


def _count(sample: AnySample, usual: InputSize) -> int:
    """How many items a part of a sample has: its boxes; the first part fills a batch with what it has."""
    boxes = 0 if sample.boxes is None else len(sample.boxes)
    return boxes if sample.first else max(usual.batch, boxes)


def _of_usual_batch(tensors: Tensors, count: int, batch: int) -> Iterator[Tensors]:
    """Yield `count` items in batches; a rest that fills none is left out."""
    if count == batch:
        yield tensors
        return
    for start in range(0, count - batch + 1, batch):
        yield {name: tensor[start : start + batch] for name, tensor in tensors.items()}


def _items(data: Path, task: AnyTask, packages: Mapping[str, str]) -> tuple[Item, ...]:
    """What a folder holds, or a file names."""
    if data.is_dir():
        return read_folder(data, task.looks_at.suffixes).items
    if data.suffix == ".py":
        files = annotation_files(data, {name: Path(folder) for name, folder in packages.items()})
        return tuple(item for one in files for item in _read(data, FORMATS[one.format], one.annotations, one.images))
    if data.suffix == ".json":
        return _read(data, read_annotations, data, data.parent)
    return _read(data, read_list, data)


def _read(data: Path, read: Callable[..., Dataset], *paths: Path) -> tuple[Item, ...]:
    """The items of a data set; an error names what the user named, too."""
    try:
        return read(*paths).items
    except CompileError as error:
        raise _unusable(error.what, data, why=f"{error.where}: {error.why}", fix=error.fix) from error


def _unusable(what: str, data: Path, why: str = "", fix: str = "") -> CompileError:
    return CompileError(what, where=f"{KEY}={data}", why=why, fix=fix)
