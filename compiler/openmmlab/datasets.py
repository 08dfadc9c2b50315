"""The datasets that an OpenMMLab config validates on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.errors import CompileError
from compiler.openmmlab.reader import read_config

LOADERS = ("val_dataloader", "test_dataloader")


@dataclass(frozen=True)
class Dataset:
    """Where a dataset lies; paths are seen from the current folder, as OpenMMLab sees them.

    Attributes:
        annotations: The file that lists the images.
        images: The folder that the images' names are seen from.
    """

    annotations: Path
    images: Path


def validation_datasets(file: Path, packages: Mapping[str, Path]) -> tuple[Dataset, ...]:
    """Return what a config validates on, or tests on where it does not say.

    Args:
        file: A config of a whole model, or of its datasets alone.
        packages: The `.mim/configs` folders of packages that its bases come from.

    Raises:
        CompileError: The config cannot be read, or names no annotations.
    """
    config = read_config(file, packages)
    loader = next((name for name in LOADERS if config.get(name)), LOADERS[0])
    return tuple(_datasets(_mapping(config.get(loader)).get("dataset"), f"{loader}.dataset", file))


def _datasets(node: Any, place: str, file: Path) -> Iterator[Dataset]:
    """Yield the datasets of a node, those within one that wraps others too."""
    dataset = _mapping(node)
    if "datasets" in dataset:
        for index, one in enumerate(dataset["datasets"]):
            yield from _datasets(one, f"{place}.datasets.{index}", file)
    elif "dataset" in dataset:
        yield from _datasets(dataset["dataset"], f"{place}.dataset", file)
    elif isinstance(dataset.get("ann_file"), str) and dataset["ann_file"]:
        root = Path(str(dataset.get("data_root") or ""))
        prefix = _mapping(dataset.get("data_prefix"))
        images = prefix.get("img", prefix.get("img_path", ""))
        yield Dataset(root / dataset["ann_file"], root / str(images or ""))
    else:
        raise CompileError(
            "the config names no annotations",
            where=f"{file}: {place}.ann_file",
            why="what a model is calibrated on is what its config validates on",
            fix="name a folder, a list of files (.txt) or COCO annotations (.json) instead",
        )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
