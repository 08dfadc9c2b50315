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
FOLDERS = ("img", "img_path", "sub_data_root")
"""Keys of `data_prefix`: the folder that files are seen from, or the one that VOC's folders lie in."""
FORMATS: Mapping[str, str] = {
    "OCRDataset": "mmocr",
    "RecogTextDataset": "mmocr_lines",
    "VOCDataset": "voc",
    "XMLDataset": "voc",
}
"""The format of each data set whose annotations are not COCO's, as all others' in JSON are."""


@dataclass(frozen=True)
class AnnotationFile:
    """Where annotations lie; paths are seen from the current folder, as OpenMMLab sees them.

    Attributes:
        annotations: The file that lists what there is.
        images: The folder that the names in it are seen from.
        format: `coco`, `mmocr`, `mmocr_lines`, `voc`; `pickle`, which is never read; or `json` for COCO's or MMOCR's.
        detections: A file of the boxes in which a model looks for people; None where there is none.
    """

    annotations: Path
    images: Path
    format: str
    detections: Path | None = None


def annotation_files(file: Path, packages: Mapping[str, Path], root: Path | None = None) -> tuple[AnnotationFile, ...]:
    """What a config validates on, or tests on where it does not say.

    Args:
        file: A config of a whole model, or of its data sets alone.
        packages: The `.mim/configs` folders of packages that its bases come from.
        root: Where the data lies; None for the `data_root` of the config.

    Raises:
        CompileError: The config cannot be read, or names no annotations.
    """
    config = read_config(file, packages)
    innermost = [chain[-1] for chain in dataset_chains(config, LOADERS)]
    loader = next((name for name in LOADERS if config.get(name)), LOADERS[0])
    return tuple(_annotation_file(one, file, root) for one in innermost or [DatasetNode({}, f"{loader}.dataset")])


def _annotation_file(dataset: DatasetNode, file: Path, root: Path | None) -> AnnotationFile:
    node, named = dataset.node, dataset.node.get("ann_file")
    if not isinstance(named, str) or not named:
        raise CompileError(
            "the config names no annotations",
            where=f"{file}: {dataset.where}.ann_file",
            why="what a model is calibrated on is what its config validates on",
            fix="name a folder, a list of files (.txt) or COCO annotations (.json) instead",
        )
    own_root, prefix = Path(str(node.get("data_root") or "")), node.get("data_prefix")
    given, root = root, root or own_root
    folders = (prefix.get(key) for key in FOLDERS) if isinstance(prefix, Mapping) else ()
    images = next(filter(None, folders), "")
    return AnnotationFile(
        annotations=root / named,
        images=root / str(images),
        format=_format(named, node.get("type")),
        detections=_detections(node.get("bbox_file"), own_root, given),
    )


def _detections(named: Any, own_root: Path, given: Path | None) -> Path | None:
    """A file of boxes, which MMPose's configs name with the root of their data before it."""
    if not isinstance(named, str) or not named:
        return None
    path = Path(named)
    return given / path.relative_to(own_root) if given and path.is_relative_to(own_root) else path


def _format(annotations: str, kind: Any) -> str:
    if annotations.endswith(".pkl"):
        return "pickle"
    if not kind:
        return "json"
    return FORMATS.get(str(kind).rpartition(".")[2], "coco")
