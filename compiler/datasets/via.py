"""Regions that were drawn in the VGG Image Annotator: https://www.robots.ox.ac.uk/~vgg/software/via."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from compiler.datasets.dataset import Box, Dataset, Item, ObjectTruth, Point
from compiler.datasets.files import expected, parse_json, path_within, pixels
from compiler.datasets.shapes import Outline, box_around, polygon_area, tell_left_out

FILE = "via_region_data.json"
FORM = "it names files with regions, each of shape_attributes and region_attributes, as VIA exports or saves them"
UNNAMED = "object"


def read_via(source: Path, name: str = "", attribute: str = "") -> Dataset:
    """The images of a VIA project, each with its regions.

    Args:
        source: The JSON that VIA exports or saves; or the folder of the images, where it is `via_region_data.json`.
        name: Of the class where regions do not say theirs.
        attribute: The region attribute that says the class; where it is left out, the only one that regions have.

    Raises:
        CompileError: The file cannot be read, holds something else, or names a file elsewhere.
    """
    path = source / FILE if source.is_dir() else source
    with expected(path, "regions of VIA", FORM):
        content = parse_json(path)
        records = list(content.get("_via_img_metadata", content).values())
        key = attribute or _only_attribute(records)
        items = tuple(_item(record, path.parent, key, name) for record in records)
    tell_left_out(sum(len(_regions(record)) for record in records) - sum(len(item.truth) for item in items))
    labels = {one.label for item in items for one in item.truth if isinstance(one, ObjectTruth)}
    return Dataset(items, tuple(sorted(labels)))


def _item(record: Mapping[str, Any], folder: Path, attribute: str, name: str) -> Item:
    path = path_within(folder, record["filename"])
    return Item(path, tuple(_objects(record, attribute, name)))


def _regions(record: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The regions of an image: a list since version 2, and by their numbers before that."""
    regions = record.get("regions") or ()
    return tuple(regions.values() if isinstance(regions, Mapping) else regions)


def _only_attribute(records: Sequence[Mapping[str, Any]]) -> str:
    """The one attribute that regions have; empty where they have none."""
    regions = (region for record in records for region in _regions(record))
    names = sorted({str(key) for region in regions for key in region.get("region_attributes") or ()})
    if len(names) > 1:
        raise ValueError(f"regions have {', '.join(names)}: say by attribute=<name> which of them is the class")
    return names[0] if names else ""


def _objects(record: Mapping[str, Any], attribute: str, name: str) -> Iterator[ObjectTruth]:
    """Yield the regions that have an area."""
    for region in _regions(record):
        outline = _outline(region["shape_attributes"])
        if outline is not None:
            label = _label(region.get("region_attributes") or {}, attribute, name)
            yield ObjectTruth(outline.box, label, area=outline.area)


def _label(attributes: Mapping[str, Any], attribute: str, name: str) -> str:
    label = attributes.get(attribute, name or UNNAMED)
    if isinstance(label, Mapping):  # of boxes that are ticked
        label = next((key for key, is_ticked in label.items() if is_ticked), "")
    if not isinstance(label, str) or not label:
        raise ValueError(f"a region's {attribute} is {label!r:.60}, and must name its class")
    return label


def _outline(shape: Mapping[str, Any]) -> Outline | None:
    """What a region goes around; None where it has no area."""
    kind = shape["name"]
    if kind in ("polygon", "polyline"):
        xs, ys = map(pixels, shape["all_points_x"]), map(pixels, shape["all_points_y"])
        points: tuple[Point, ...] = tuple(zip(xs, ys, strict=True))
        return Outline(box_around(points), polygon_area(points))
    if kind == "rect":
        x, y, width, height = (pixels(shape[key]) for key in ("x", "y", "width", "height"))
        return Outline((x, y, x + width, y + height), width * height)
    if kind in ("circle", "ellipse"):
        keys = ("r", "r") if kind == "circle" else ("rx", "ry")
        rx, ry, turn = *(pixels(shape[key]) for key in keys), pixels(shape.get("theta", 0))
        return Outline(_around_ellipse(pixels(shape["cx"]), pixels(shape["cy"]), rx, ry, turn), math.pi * rx * ry)
    if kind == "point":
        return None
    raise ValueError(f"a region is a {kind!r:.60}")


def _around_ellipse(x: float, y: float, rx: float, ry: float, turn: float) -> Box:
    width = math.hypot(rx * math.cos(turn), ry * math.sin(turn))
    height = math.hypot(rx * math.sin(turn), ry * math.cos(turn))
    return x - width, y - height, x + width, y + height
