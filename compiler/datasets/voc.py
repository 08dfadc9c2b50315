"""PASCAL VOC's annotations, an XML file for each image: http://host.robots.ox.ac.uk/pascal/VOC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from compiler.artifact import read_given
from compiler.datasets.dataset import Dataset, Item, ObjectTruth
from compiler.datasets.files import expected, find_files, read_lines

IMAGES, ANNOTATIONS = "JPEGImages", "Annotations"
CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""Those of VOC itself, in its order."""
SUFFIXES = (".jpg", ".jpeg", ".png")
FORM = "it is an <annotation> of <object>s, each with a <name> and a <bndbox> of xmin, ymin, xmax, ymax"
LARGEST_XML = 2**24
"""Bytes of the annotations of one image."""


def read_voc(root: Path, frames: Path | None = None, classes: tuple[str, ...] = ()) -> Dataset:
    """The images of a list, each with the objects in its XML file; those that are difficult are ignored.

    Corners are counted from 0, as MMDetection counts them: VOC counts the first pixel as 1.

    Args:
        root: The folder that holds `JPEGImages` and `Annotations`, such as `VOCdevkit/VOC2007`.
        frames: A list of images, such as `ImageSets/Main/test.txt`; None for all annotations.
        classes: Those that are looked for, in their order; none for VOC's own where all are among them, and else for
            all that are annotated.

    Raises:
        CompileError: A file cannot be read, or holds something else.
    """
    items = tuple(_item(root, name) for name in _names(root, frames))
    found = {one.label for item in items for one in item.truth if isinstance(one, ObjectTruth)}
    return Dataset(items, classes or (CLASSES if found <= set(CLASSES) else tuple(sorted(found))))


def read_voc_objects(path: Path) -> tuple[ObjectTruth, ...]:
    """The objects in the XML file of one image.

    Raises:
        CompileError: It cannot be read, or holds something else.
    """
    with expected(path, "annotations of VOC", FORM):
        return tuple(map(_object, _annotation(path).findall("object")))


def _names(root: Path, frames: Path | None) -> Iterator[str]:
    """Yield the names of the images, which those of their files begin with."""
    if frames is None:
        yield from (path.stem for path in find_files(root / ANNOTATIONS, (".xml",)))
        return
    with expected(frames, "list of VOC", "each line is the name of an image, which those of a class follow by 1 or -1"):
        names = [line.split()[0] for line in read_lines(frames)]
        if any(Path(name).name != name or name == ".." for name in names):
            raise ValueError("a line is no name of an image")
    yield from names


def _item(root: Path, name: str) -> Item:
    images = (root / IMAGES / f"{name}{suffix}" for suffix in SUFFIXES)
    image = next((path for path in images if path.is_file()), root / IMAGES / f"{name}{SUFFIXES[0]}")
    return Item(image, read_voc_objects(root / ANNOTATIONS / f"{name}.xml"), name)


def _annotation(path: Path) -> ElementTree.Element:
    """The root of an XML file, which has no entities of its own: a few lines of those stand for billions."""
    content = read_given(path, path.name, largest=LARGEST_XML)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ValueError("it has a document type of its own")
    root = ElementTree.fromstring(content)
    if root.tag != "annotation":
        raise ValueError(f"it is a <{root.tag}>")
    return root


def _object(node: ElementTree.Element) -> ObjectTruth:
    # Corners with fractions, of which VOC has a few, are cut to whole pixels as MMDetection cuts them.
    corners = (node.findtext(f"bndbox/{corner}", "") for corner in ("xmin", "ymin", "xmax", "ymax"))
    x1, y1, x2, y2 = (float(int(float(corner)) - 1) for corner in corners)
    return ObjectTruth(
        box=(x1, y1, x2, y2),
        label=node.findtext("name", "").strip(),
        ignore=bool(int(node.findtext("difficult") or 0)),
        area=(x2 - x1) * (y2 - y1),
    )
