"""Shapes that were drawn in LabelMe, a JSON for each image: https://github.com/wkentaro/labelme."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compiler.datasets.dataset import Dataset, Item, ObjectTruth, Point
from compiler.datasets.files import expected, find_files, parse_json, path_within, pixels
from compiler.datasets.shapes import Outline, box_around, polygon_area, tell_left_out
from compiler.errors import CompileError

FORM = "it has an imagePath, and shapes with a label, points and a shape_type"
WITHOUT_AREA = ("point", "points", "line", "linestrip")


def read_labelme(source: Path) -> Dataset:
    """The images that the JSON files below a folder are about, each with its objects.

    Shapes of one label and group are one object, as LabelMe's own conversion to COCO has them.

    Raises:
        CompileError: There is no such file, or one cannot be read, holds something else, or names a file elsewhere.
    """
    files = find_files(source, (".json",))
    if not files:
        raise CompileError(
            "the folder holds no files of LabelMe", where=str(source), fix="name the folder of its .json"
        )
    items, left_out = [], 0
    for path in files:
        with expected(path, "shapes of LabelMe", FORM):
            content = parse_json(path)
            shapes = [shape for shape in content["shapes"] if _kind(shape) not in WITHOUT_AREA]
            image = path_within(source, content["imagePath"], path.parent)
            items.append(Item(image, _objects(shapes)))
            left_out += len(content["shapes"]) - len(shapes)
    tell_left_out(left_out)
    labels = {one.label for item in items for one in item.truth if isinstance(one, ObjectTruth)}
    return Dataset(tuple(items), tuple(sorted(labels)))


def _kind(shape: Mapping[str, Any]) -> str:
    """The kind of a shape: a polygon in files of the first versions, which do not say it."""
    return str(shape.get("shape_type") or "polygon")


def _objects(shapes: Sequence[Mapping[str, Any]]) -> tuple[ObjectTruth, ...]:
    """The objects, in the order of their first shapes."""
    parts: dict[tuple[str, str], list[Outline]] = {}
    for index, shape in enumerate(shapes):
        group = shape.get("group_id")
        key = _label(shape), f"shape {index}" if group is None else f"group {group}"
        parts.setdefault(key, []).append(_outline(shape))
    return tuple(_joined(label, outlines) for (label, _), outlines in parts.items())


def _joined(label: str, parts: Sequence[Outline]) -> ObjectTruth:
    corners = [corner for part in parts for corner in (part.box[:2], part.box[2:])]
    return ObjectTruth(box_around(corners), label, area=sum(part.area for part in parts))


def _label(shape: Mapping[str, Any]) -> str:
    label = shape["label"]
    if not isinstance(label, str) or not label:
        raise ValueError(f"a label is {label!r:.60}, and must name a class")
    return label


def _outline(shape: Mapping[str, Any]) -> Outline:
    points: list[Point] = [(pixels(x), pixels(y)) for x, y in shape["points"]]
    kind = _kind(shape)
    if kind == "polygon":
        return Outline(box_around(points), polygon_area(points))
    if kind == "circle":
        (x, y), edge = points
        radius = math.dist((x, y), edge)
        return Outline((x - radius, y - radius, x + radius, y + radius), math.pi * radius**2)
    if kind in ("rectangle", "mask"):  # a mask's pixels lie within two corners, too
        x1, y1, x2, y2 = box_around(points)
        return Outline((x1, y1, x2, y2), (x2 - x1) * (y2 - y1))
    raise ValueError(f"a shape is a {kind!r:.60}")
