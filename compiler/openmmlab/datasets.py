"""The files of annotations that an OpenMMLab config validates on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.errors import CompileError
from compiler.openmmlab.loaders import DatasetNode, dataset_chains
from compiler.openmmlab.reader import read_config

LOADERS = ("val_dataloader", "test_dataloader")
FORMATS: Mapping[str, str] = {"OCRDataset": "mmocr", "RecogTextDataset": "mmocr_lines"}
"""The format of each data set whose annotations are not COCO's, as all others' in JSON are."""


@dataclass(frozen=True)
class AnnotationFile:
    """Where annotations lie; paths are seen from the current folder, as OpenMMLab sees them.

    Attributes:
        annotations: The file that lists what there is.
        images: The folder that the names in it are seen from.
        format: `coco`, `mmocr`, `mmocr_lines`; `pickle`, which is never read; or `json` for COCO's or MMOCR's.
    """

    annotations: Path
    images: Path
    format: str


def annotation_files(file: Path, packages: Mapping[str, Path]) -> tuple[AnnotationFile, ...]:
    """What a config validates on, or tests on where it does not say.

    Args:
        file: A config of a whole model, or of its data sets alone.
        packages: The `.mim/configs` folders of packages that its bases come from.

    Raises:
        CompileError: The config cannot be read, or names no annotations.
    """
    config = read_config(file, packages)
    innermost = [chain[-1] for chain in dataset_chains(config, LOADERS)]
    loader = next((name for name in LOADERS if config.get(name)), LOADERS[0])
    return tuple(_annotation_file(one, file) for one in innermost or [DatasetNode({}, f"{loader}.dataset")])


def _annotation_file(dataset: DatasetNode, file: Path) -> AnnotationFile:
    node, named = dataset.node, dataset.node.get("ann_file")
    if not isinstance(named, str) or not named:
        raise CompileError(
            "the config names no annotations",
            where=f"{file}: {dataset.where}.ann_file",
            why="what a model is calibrated on is what its config validates on",
            fix="name a folder, a list of files (.txt) or COCO annotations (.json) instead",
        )
    root, prefix = Path(str(node.get("data_root") or "")), node.get("data_prefix")
    images = prefix.get("img", prefix.get("img_path", "")) if isinstance(prefix, Mapping) else ""
    return AnnotationFile(root / named, root / str(images or ""), _format(named, node.get("type")))


def _format(annotations: str, kind: Any) -> str:
    if annotations.endswith(".pkl"):
        return "pickle"
    if not kind:
        return "json"
    return FORMATS.get(str(kind).rpartition(".")[2], "coco")
