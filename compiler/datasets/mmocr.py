"""MMOCR's annotations: https://mmocr.readthedocs.io/en/dev-1.x/migration/dataset.html."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compiler.datasets.dataset import Dataset, Item, TextTruth
from compiler.datasets.files import expected, parse_json, path_within, pixels, read_lines

KIND = "annotations of MMOCR"
FORM = (
    'they have a data_list of {"img_path": ..., "instances": [{"polygon": [x1, y1, ...], "text": ..., "ignore": ...}]}'
)
MOST_CORNERS = 256
"""Of a polygon: what overlaps it is found in a time that grows with their square."""
LINE_FORM = 'each line is a file and its text, or {"filename": ..., "text": ...}'


def read_mmocr(annotations: Path, images: Path) -> Dataset:
    """The images of a `textdet_*.json`, `textrecog_*.json` or `textspotting_*.json`, each with its texts.

    Args:
        annotations: The file.
        images: The folder that the images' paths are seen from.

    Raises:
        CompileError: The file cannot be read, holds something else, or names a file elsewhere.
    """
    with expected(annotations, KIND, FORM):
        return mmocr_dataset(parse_json(annotations), images)


def mmocr_dataset(content: Any, images: Path) -> Dataset:
    """The data set in annotations that are read already.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: They are none.
    """
    return Dataset(tuple(_item(entry, images) for entry in content["data_list"]))


def read_mmocr_lines(annotations: Path, images: Path) -> Dataset:
    """The words that a `RecogTextDataset` of MMOCR lists, one a line, as `<file> <text>` or as JSON.

    Raises:
        CompileError: The file cannot be read, or a line is neither.
    """
    with expected(annotations, "words of MMOCR", LINE_FORM):
        return Dataset(tuple(_word(line, images) for line in read_lines(annotations)))


def _item(entry: Mapping[str, Any], images: Path) -> Item:
    path = path_within(images, entry["img_path"])
    try:
        return Item(path, tuple(map(_text, entry.get("instances", ()))))
    except ValueError as error:
        raise ValueError(f"{entry['img_path']}: {error}") from error


def _text(instance: Mapping[str, Any]) -> TextTruth:
    text = instance.get("text")
    polygon = _points(instance["polygon"]) if "polygon" in instance else _corners(instance.get("bbox", ()))
    return TextTruth(None if text is None else str(text), polygon, bool(instance.get("ignore", False)))


def _points(numbers: Sequence[float]) -> tuple[tuple[float, float], ...]:
    if len(numbers) % 2 or len(numbers) < 6:
        raise ValueError(f"a polygon has {len(numbers)} numbers, and x and y of at least three points")
    if len(numbers) > 2 * MOST_CORNERS:
        raise ValueError(f"a polygon has {len(numbers) // 2} corners, and at most {MOST_CORNERS} are taken")
    return tuple((pixels(x), pixels(y)) for x, y in zip(numbers[::2], numbers[1::2], strict=True))


def _corners(box: Sequence[float]) -> tuple[tuple[float, float], ...]:
    if not box:
        return ()
    x1, y1, x2, y2 = map(pixels, box)
    return (x1, y1), (x2, y1), (x2, y2), (x1, y2)


def _word(line: str, images: Path) -> Item:
    if line.startswith("{"):
        entry = json.loads(line)
        return Item(path_within(images, entry["filename"]), (TextTruth(str(entry["text"])),))
    file, separator, text = line.partition(" ")
    if not separator:
        raise ValueError(f"the line {line!r} has no text")
    return Item(path_within(images, file), (TextTruth(text),))
