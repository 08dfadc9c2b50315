"""Read the boxes around what an image shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import read_given, reading
from compiler.errors import CompileError

if TYPE_CHECKING:
    from compiler.tasks.images import Image
    from compiler.tasks.sample import Sample

Floats = NDArray[np.float32]

_LARGEST_FILE = 64 * 2**20
"""Bytes: about a million boxes."""
_FORMS = (
    "x1,y1,x2,y2; a list of such boxes; or a JSON file with a list of boxes, with "
    '{"boxes": [...]}, or with COCO\'s [{"bbox": [x, y, width, height]}, ...]'
)


def read_boxes(spec: object, image_size: tuple[int, int]) -> NDArray[np.float32]:
    """Boxes as `[n, 4]`: x1, y1, x2, y2 in pixels, n at least 1.

    Args:
        spec: None for the whole image; four numbers as a list or as the text `x1,y1,x2,y2`; several boxes as a list of
            lists; or the path of a JSON file that holds `[[x1, y1, x2, y2], ...]`, `{"boxes": [...]}` or, as COCO
            writes it, `[{"bbox": [x, y, width, height]}, ...]`.
        image_size: Width and height of the image, in pixels.

    Raises:
        CompileError: The file is missing or no JSON, the form is none of those, or a box is not finite, has no area or
            lies entirely outside the image. A box may reach beyond the image's edges.
    """
    if spec is None:
        return np.array([[0, 0, *image_size]], np.float32)
    where = f"boxes {spec}"
    if isinstance(spec, str | Path):
        numbers = _numbers_in_text(str(spec))
        spec, where = (numbers, where) if numbers else (_read_json(Path(spec)), str(spec))
    rows = _rows(spec.tolist() if isinstance(spec, np.ndarray) else spec, where)
    for index, row in enumerate(rows):
        _check(row, image_size, f"{where}, box {index}")
    return np.array(rows, np.float32)


def boxes_of(sample: Sample[Image]) -> Floats:
    """The boxes of a sample, `[n, 4]`, n at least 1; the one around the whole image where it has none.

    Raises:
        ValueError: They have another shape.
    """
    if sample.boxes is None:
        return whole_box(sample.source)
    if sample.boxes.ndim != 2 or sample.boxes.shape[1] != 4 or not len(sample.boxes):
        raise ValueError(f"boxes are [n, 4] with n at least 1, not {list(sample.boxes.shape)}")
    return sample.boxes.astype(np.float32)


def whole_box(image: Image) -> Floats:
    """The box around a whole image, `[1, 4]`."""
    return np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32)


def _numbers_in_text(text: str) -> list[float]:
    """The four numbers in a text such as `10,20,30,40`, or nothing if it is something else."""
    parts = text.strip("[]() ").split(",")
    try:
        return [float(part) for part in parts] if len(parts) == 4 else []
    except ValueError:
        return []


def _read_json(path: Path) -> object:
    fix = f"give {_FORMS}"
    content = read_given(path, "the file of boxes", fix=fix, largest=_LARGEST_FILE)
    with reading(path, "the boxes are not JSON", fix=fix):
        data: object = json.loads(content.decode("utf-8"))
    return data


def _rows(data: object, where: str) -> list[list[float]]:
    """The boxes in any of the accepted forms as rows of x1, y1, x2, y2."""
    if isinstance(data, Mapping) and "boxes" in data:
        data = data["boxes"]
    if not isinstance(data, Sequence) or isinstance(data, str):
        raise _wrong_form(data, where)
    if not data:
        raise CompileError("there are no boxes", where=where, why="the list is empty", fix=f"give {_FORMS}")
    return [_row(data, where)] if _is_number(data[0]) else [_row(item, where) for item in data]


def _row(item: object, where: str) -> list[float]:
    is_coco = isinstance(item, Mapping)
    numbers = item.get("bbox") if isinstance(item, Mapping) else item
    if not isinstance(numbers, Sequence) or len(numbers) != 4 or not all(_is_number(number) for number in numbers):
        raise _wrong_form(item, where)
    try:
        x1, y1, x2, y2 = (float(number) for number in numbers)
    except OverflowError as error:
        raise _wrong_form(item, where) from error
    return [x1, y1, x1 + x2, y1 + y2] if is_coco else [x1, y1, x2, y2]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong_form(value: object, where: str) -> CompileError:
    shown = repr(value)
    return CompileError(
        "the boxes cannot be understood",
        where=where,
        why=f"{shown if len(shown) < 80 else shown[:77] + '...'} is not a box",
        fix=f"give {_FORMS}",
    )


def _check(row: Sequence[float], image_size: tuple[int, int], where: str) -> None:
    """Raise a `CompileError` if a box cannot be cropped."""
    # As the crop will see it: in single precision, large numbers meet or become infinite.
    with np.errstate(over="ignore"):
        x1, y1, x2, y2 = np.array(row, np.float32)
    width, height = image_size
    shown = f"the box is x1={x1:g}, y1={y1:g}, x2={x2:g}, y2={y2:g}"
    if not np.isfinite([x1, y1, x2, y2]).all():
        raise CompileError("a box is not finite", where=where, why=shown, fix="give finite numbers")
    if x2 <= x1 or y2 <= y1:
        raise CompileError(
            "a box has no area",
            where=where,
            why=shown,
            fix="give x1 < x2 and y1 < y2; the last two numbers are a corner, not a width and a height",
        )
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
        raise CompileError(
            "a box lies outside the image",
            where=where,
            why=f"{shown}; the image is {width} wide and {height} high",
            fix="give the box in pixels of this image, counted from its upper left corner",
        )
