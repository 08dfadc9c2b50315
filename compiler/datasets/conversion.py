"""Data sets in other formats, by their names: what reads each, and what it is written as."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.artifact import reading, write_text
from compiler.datasets.dataset import Dataset
from compiler.datasets.icdar import read_icdar_folder
from compiler.datasets.kitti import read_kitti_images
from compiler.datasets.labelme import read_labelme
from compiler.datasets.via import read_via
from compiler.datasets.voc import read_voc
from compiler.datasets.writing import coco_content, mmocr_content
from compiler.datasets.yolo import read_yolo
from compiler.errors import CompileError, UsageError, nearest


@dataclass(frozen=True)
class Conversion:
    """How one format is converted.

    Attributes:
        read: Reads it from a folder or file, with options.
        content: What is written, seen from a folder.
        options: What can be said about a data set of this format.
    """

    read: Callable[[Path, Mapping[str, str]], Dataset]
    content: Callable[[Dataset, Path], dict[str, Any]]
    options: tuple[str, ...] = ()


def _read_via(source: Path, options: Mapping[str, str]) -> Dataset:
    return read_via(source, options.get("class", ""), options.get("attribute", ""))


def _read_yolo(source: Path, options: Mapping[str, str]) -> Dataset:
    return read_yolo(source, options.get("split"))


def _read_kitti(source: Path, options: Mapping[str, str]) -> Dataset:
    return read_kitti_images(source, Path(options["frames"]) if "frames" in options else None)


def _read_voc(source: Path, options: Mapping[str, str]) -> Dataset:
    return read_voc(source, source / f"ImageSets/Main/{options['split']}.txt" if "split" in options else None)


CONVERSIONS: Mapping[str, Conversion] = {
    "via": Conversion(_read_via, coco_content, ("class", "attribute")),
    "icdar2013": Conversion(lambda source, _: read_icdar_folder(source), mmocr_content),
    "icdar2015": Conversion(lambda source, _: read_icdar_folder(source), mmocr_content),
    "labelme": Conversion(lambda source, _: read_labelme(source), coco_content),
    "yolo": Conversion(_read_yolo, coco_content, ("split",)),
    "kitti": Conversion(_read_kitti, coco_content, ("frames",)),
    "voc": Conversion(_read_voc, coco_content, ("split",)),
}
"""What `convert-dataset` takes."""


def convert(name: str, source: Path, target: Path, options: Mapping[str, str]) -> Dataset:
    """Write a data set in another format as COCO's or MMOCR's annotations.

    Args:
        name: One of `CONVERSIONS`.
        source: Its folder or file.
        target: The JSON file to write, which is not there yet.
        options: Of the format.

    Returns:
        The data set.

    Raises:
        UsageError: There is no such format, or it has no such option; or the file is there.
        CompileError: The data set cannot be read, or the file cannot be written.
    """
    if name not in CONVERSIONS:
        raise UsageError(f"there is no format '{name}'", where="convert-dataset", fix=nearest(name, CONVERSIONS))
    conversion = CONVERSIONS[name]
    for option in options:
        if option not in conversion.options:
            raise UsageError(f"{name} takes no option '{option}'", where=f"{option}={options[option]}")
    with reading(source, "the data set cannot be read"):
        if not source.exists():
            raise UsageError("the data set does not exist", where=str(source), why=f"paths are seen from {Path.cwd()}")
    with reading(target, "this is no file to write"):
        is_there = target.exists()
    if target.suffix != ".json" or is_there:
        why = "there is a file of this name" if is_there else "annotations are JSON"
        raise UsageError("this is no file to write", where=str(target), why=why, fix="name a new .json")
    dataset = conversion.read(source, options)
    if not dataset.items:
        raise CompileError("the data set is empty", where=str(source), why="it lists nothing to look at")
    content = json.dumps(conversion.content(dataset, target.parent), ensure_ascii=False, allow_nan=False)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, f"{content}\n")
    except OSError as error:
        raise CompileError("the annotations cannot be written", where=str(target), why=str(error)) from error
    return dataset
