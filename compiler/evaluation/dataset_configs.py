"""The data sets that bundles are evaluated on: those with a config, and those of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compiler.artifact import reading
from compiler.config.config_dir import require_config_dir
from compiler.config.instantiate import instantiate
from compiler.config.plain_yaml import load_yaml
from compiler.config.plug_ins import plug_in_folders
from compiler.config.search import config_folder
from compiler.config.yaml_files import check_yaml, parsing
from compiler.datasets import (
    Dataset,
    read_coco,
    read_icdar,
    read_icdar_words,
    read_kitti,
    read_mmocr,
    read_mmocr_lines,
    read_nuscenes,
    read_voc,
)
from compiler.datasets.annotations import FORMATS, read_annotations
from compiler.errors import CompileError, UsageError, nearest
from compiler.openmmlab.datasets import AnnotationFile, annotation_files
from compiler.openmmlab.evaluators import Evaluator, evaluators

GROUP = "dataset"
CONFIG = "config"
"""The data set that the OpenMMLab config names which a bundle was compiled from."""


@dataclass(frozen=True)
class DatasetConfig:
    """One file in `conf/dataset/`.

    Attributes:
        format: How it is annotated: one of `READERS`.
        data: Where it lies unless the user says so, seen from the current folder.
        annotations: The file of annotations within it, or the folder of them, or a list of what there is.
        images: The folder within it that names in annotations are seen from; the root of what has a layout of its own.
        scans: The folder of KITTI's scans beside its labels.
        split: The published split of nuScenes that is looked at, such as `val`; all scenes where it is empty.
        metrics: What is measured, each a `_target_` node; none for what the task and the format call for.
    """

    format: str
    data: str = "data"
    annotations: str = ""
    images: str = ""
    scans: str = "velodyne"
    split: str = ""
    metrics: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class NamedDataset:
    """A data set, read.

    Attributes:
        name: As the user gave it.
        format: How it is annotated.
        dataset: What is true.
        metrics: See `DatasetConfig`.
        evaluators: What an OpenMMLab config measures; none where there is none.
        detections: The file of boxes that it names; None where none does.
    """

    name: str
    format: str
    dataset: Dataset
    metrics: tuple[dict[str, Any], ...] = ()
    evaluators: tuple[Evaluator, ...] = ()
    detections: Path | None = None


def _optional(folder: Path, name: str) -> Path | None:
    return folder / name if name else None


READERS: Mapping[str, Callable[[DatasetConfig, Path], Dataset]] = {
    "coco": lambda config, data: read_coco(data / config.annotations, data / config.images),
    "icdar": lambda config, data: read_icdar(data / config.images, data / config.annotations),
    "icdar_words": lambda config, data: read_icdar_words(data / config.annotations, data / config.images),
    "kitti": lambda config, data: read_kitti(data / config.images, _optional(data, config.annotations), config.scans),
    "mmocr": lambda config, data: read_mmocr(data / config.annotations, data / config.images),
    "mmocr_lines": lambda config, data: read_mmocr_lines(data / config.annotations, data / config.images),
    "nuscenes": lambda config, data: read_nuscenes(data, config.annotations or "v1.0-mini", config.split or None),
    "voc": lambda config, data: read_voc(data / config.images, _optional(data, config.annotations)),
}
"""What reads a data set of a format, given its config and where it lies."""
_LAYOUTS: Mapping[str, tuple[str, ...]] = {
    "voc": ("Annotations", "JPEGImages"),
    "kitti": ("velodyne", "label_2"),
    "nuscenes": ("samples", "v1.0-mini"),
}
"""What a folder holds that is a data set of a format."""


def find_dataset(
    name: str,
    data: Path | None,
    *,
    openmmlab: tuple[str, Mapping[str, str]] = ("", {}),
    config_dir: Path | None = None,
) -> NamedDataset:
    """The data set of a name, of a file of annotations, of a folder with a known layout or of an OpenMMLab config.

    Args:
        name: One in `conf/dataset`, a file (.json, .txt, .py), a folder, or `config`.
        data: Where it lies; None for where its config or its annotations say.
        openmmlab: What `config` is: the OpenMMLab config that the bundles were compiled from, and the packages of its
            bases.
        config_dir: A config folder of the user's, whose `dataset/` is searched too.

    Raises:
        UsageError: There is none of that name.
        CompileError: It cannot be read, or has no items.
    """
    found = _find(name, data, openmmlab, config_dir)
    if not found.dataset.items:
        raise CompileError(
            "the data set is empty",
            where=f"dataset={name}",
            why="it lists nothing to look at",
            fix="check its annotations",
        )
    return found


def named_configs(config_dir: Path | None = None) -> dict[str, Path]:
    """The files of data sets that have a config, by their names; ours come first.

    Raises:
        UsageError: The user's folder does not exist, or a file in it has the name of one of ours.
    """
    if config_dir is not None:
        require_config_dir(config_dir)
    folders = (*((config_dir,) if config_dir else ()), *plug_in_folders().values(), config_folder())
    return {file.stem: file for folder in folders for file in sorted((folder / GROUP).glob("*.yaml"))}


def _find(
    name: str, data: Path | None, openmmlab: tuple[str, Mapping[str, str]], config_dir: Path | None
) -> NamedDataset:
    path = Path(name)
    if name == CONFIG:
        return _of_openmmlab(name, Path(_config_of(openmmlab[0])), openmmlab[1], data)
    if path.suffix == ".py":
        return _of_openmmlab(name, path, openmmlab[1], data)
    if path.suffix == ".json":
        return NamedDataset(name, "coco", read_annotations(path, data or path.parent))
    if path.suffix == ".txt" and path.is_file():
        return NamedDataset(name, "mmocr_lines", read_mmocr_lines(path, data or path.parent))
    configs = named_configs(config_dir)
    if name not in configs and path.is_dir():
        if data is not None:
            what = "the data set is a folder, and lies where it lies"
            raise UsageError(what, where=f"dataset={name}, data={data}", fix="leave data= out, or name the folder once")
        return _of_folder(name, path)
    if name not in configs:
        raise UsageError(
            f"there is no data set '{name}'",
            where=f"dataset={name}",
            fix=f"{nearest(name, configs)} Or name annotations (.json, .txt), an OpenMMLab config (.py), a folder",
        )
    config = _read_config(configs[name])
    return NamedDataset(name, config.format, _of_config(config, data, name), config.metrics)


def _read_config(file: Path) -> DatasetConfig:
    with parsing(file):
        node = load_yaml(check_yaml(file))
    config = instantiate(node, DatasetConfig, GROUP)
    if config.format not in READERS:
        raise UsageError(
            f"there is no format '{config.format}'", where=f"{file}: format", fix=nearest(config.format, READERS)
        )
    return config


def _of_config(config: DatasetConfig, data: Path | None, name: str) -> Dataset:
    folder = data or Path(config.data)
    _require_folder(folder, name, "" if data else f"; {name} is looked for there unless data=<folder> says where it is")
    return READERS[config.format](config, folder)


def _require_folder(folder: Path, name: str, unless: str) -> None:
    """Refuse a folder that is not there, or has nothing in it."""
    with reading(folder, "the data cannot be read", where=f"data={folder}"):
        if not folder.is_dir():
            raise CompileError(
                f"there is no folder {folder}",
                where=f"dataset={name}",
                why=f"paths are seen from {Path.cwd()}{unless}",
                fix="give data=<the folder that the data set lies in>",
            )
        if not any(folder.iterdir()):
            raise CompileError(
                f"the folder {folder} is empty", where=f"dataset={name}", fix="unpack the data set there"
            )


def _of_folder(name: str, folder: Path) -> NamedDataset:
    _require_folder(folder, name, "")
    layout = next((key for key, parts in _LAYOUTS.items() if all((folder / part).is_dir() for part in parts)), None)
    if layout is None:
        raise CompileError(
            f"the folder {folder} has no annotations",
            where=f"dataset={name}",
            why=f"it is laid out like none of {', '.join(_LAYOUTS)}",
            fix="name the file of annotations, or a data set of conf/dataset with data=<folder>",
        )
    return NamedDataset(name, layout, READERS[layout](DatasetConfig(layout), folder))


def _config_of(openmmlab: str) -> str:
    if not openmmlab:
        raise UsageError(
            "the bundle was compiled from no OpenMMLab config",
            where=f"dataset={CONFIG}",
            fix="name the config itself: dataset=<file>.py",
        )
    return openmmlab


def _of_openmmlab(name: str, file: Path, packages: Mapping[str, str], data: Path | None) -> NamedDataset:
    """What an OpenMMLab config validates on; several files count as one data set."""
    folders = {key: Path(folder) for key, folder in packages.items()}
    files = annotation_files(file, folders, data)
    read = [FORMATS[one.format](one.annotations, one.images) for one in files]
    measured, detections = evaluators(file, folders), files[0].detections
    if any(one.detections != detections for one in files):
        what = "the config names several files of boxes"
        raise CompileError(what, where=f"{file}: bbox_file", fix=f"evaluate on one of {_listed(files)}")
    return NamedDataset(name, _format_of(files), joined(read, files), evaluators=measured, detections=detections)


def joined(read: Sequence[Dataset], files: Sequence[AnnotationFile]) -> Dataset:
    """Several files of annotations as one data set, of all classes that they name.

    Raises:
        CompileError: They give one number to several classes or images, or have other key points.
    """
    first, *others = read
    if any(one.keypoints != first.keypoints for one in others):
        raise _apart(files, "they have other key points")
    if any(one.class_numbers != first.class_numbers or bool(one.classes) != bool(first.classes) for one in others):
        raise _apart(files, "they have other classes")
    if first.class_numbers and any(one.classes != first.classes for one in others):
        raise _apart(files, "one number is that of several classes")
    items = tuple(item for one in read for item in one.items)
    named = [item.identity for item in items if item.identity is not None]
    if others and len(set(named)) < len(named):
        raise _apart(files, "they give one number to several images")
    return replace(first, items=items, classes=tuple(dict.fromkeys(name for one in read for name in one.classes)))


def _apart(files: Sequence[AnnotationFile], why: str) -> CompileError:
    return CompileError(
        "the config's files of annotations are no one data set",
        where=_listed(files),
        why=why,
        fix="evaluate on each alone",
    )


def _listed(files: Sequence[AnnotationFile]) -> str:
    return ", ".join(str(one.annotations) for one in files)


def _format_of(files: Sequence[AnnotationFile]) -> str:
    return "coco" if files[0].format == "json" else files[0].format
