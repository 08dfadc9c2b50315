"""YOLO's labels, a text file for each image: https://docs.ultralytics.com/datasets/detect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from compiler.config.plain_yaml import load_yaml
from compiler.config.yaml_files import check_yaml
from compiler.datasets.dataset import Box, Dataset, Item, KeypointTruth, ObjectTruth, Point
from compiler.datasets.files import distinct, expected, find_files, path_within, pixels, read_lines
from compiler.datasets.shapes import box_around, polygon_area
from compiler.errors import CompileError, nearest
from compiler.tasks.images import image_size

SUFFIXES = (".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
SPLITS, SPLIT = ("train", "val", "test"), "val"
"""Of a data set, and that which is read where none is asked for."""
NAMES = ("classes.txt", "obj.names")
FORM = "it has names of classes, and says by train: and val: where images are"
LABEL_FORM = "each line is the number of a class, and x, y, width and height, or a polygon, by those of the image"
BEYOND = 0.01
"""The share of an image by which labels may reach beyond it; what does is cut off."""


@dataclass(frozen=True)
class _Kinds:
    """What the labels of a data set are about.

    Attributes:
        classes: Their names.
        keypoints: Names of the key points of each object.
        numbers: Of each key point: 2, or 3 with whether it is seen.
    """

    classes: tuple[str, ...]
    keypoints: tuple[str, ...] = ()
    numbers: int = 3


def read_yolo(source: Path, split: str | None = None) -> Dataset:
    """The images of one split of a data set, each with its objects.

    Args:
        source: The folder of the data set, with its `data.yaml` (or another `.yaml`, if it is the only one), or with
            `classes.txt` or `obj.names` beside `images/` and `labels/`; or the YAML file itself.
        split: `train`, `val` or `test`, as the YAML names it, or the folder of this name in `images/`; None for `val`,
            or for all of `images/` where there is neither a YAML nor such a folder.

    Raises:
        CompileError: A file is missing, cannot be read, holds something else, or names a file elsewhere.
    """
    settings = _settings_file(source)
    root = settings.parent if settings else source
    if settings:
        with expected(settings, "data set of YOLO", FORM):
            content = load_yaml(check_yaml(settings, settings.name))
            root = _root(settings.parent, content)
            kinds, images = _kinds(content), _images(root, _of_split(content, split or SPLIT))
    else:
        kinds, images = _Kinds(_class_names(root)), find_files(_folder(root / "images", split), SUFFIXES)
    if not images:
        raise CompileError("the data set has no images", where=str(source), fix="name its folder, and split=<name>")
    items = tuple(Item(image, _objects(image, root, kinds)) for image in images)
    return Dataset(items, kinds.classes, kinds.keypoints)


def _settings_file(source: Path) -> Path | None:
    """The YAML of a data set; None where it has none."""
    if not source.is_dir():
        return source
    found = find_files(source, (".yaml", ".yml"))
    named = [path for path in found if path.name == "data.yaml"] or [path for path in found if path.parent == source]
    return named[0] if len(named) == 1 else None


def _root(folder: Path, content: Mapping[str, Any]) -> Path:
    """The folder that a YAML calls `path`: one below its own, or its own, by whatever way it is reached elsewhere.

    Raises:
        ValueError: It is another one.
    """
    path = content.get("path")
    if path in (None, "", "."):
        return folder
    if isinstance(path, str) and PureWindowsPath(path).name == folder.resolve().name:
        return folder
    below = path_within(folder, path)
    if not below.is_dir():
        raise ValueError(f"path is {path!r:.60}, and there is no such folder: it is seen from that of the YAML")
    return below


def _of_split(content: Mapping[str, Any], split: str) -> Any:
    """What a YAML says by the name of a split.

    Raises:
        ValueError: It says nothing.
    """
    if content.get(split) is None:
        named = [name for name in SPLITS if content.get(name)]
        raise ValueError(f"it has no split {split!r:.60}: {nearest(split, named)}")
    return content[split]


def _folder(images: Path, split: str | None) -> Path:
    """The folder of a split, where there is no YAML.

    Raises:
        CompileError: There is none of the name that is asked for.
    """
    name = split or SPLIT
    if (images / name).is_dir() and Path(name).name == name:
        return images / name
    if split is None:
        return images
    known = [path.name for path in images.iterdir() if path.is_dir()] if images.is_dir() else []
    raise CompileError(f"the data set has no split '{split}'", where=str(images), fix=nearest(split, known))


def _class_names(root: Path) -> tuple[str, ...]:
    path = next((root / name for name in NAMES if (root / name).is_file()), root / NAMES[0])
    with expected(path, "names of classes", "each line is one; a data.yaml may say them instead"):
        return distinct(read_lines(path))


def _kinds(content: Mapping[str, Any]) -> _Kinds:
    names, shape = content["names"], content.get("kpt_shape")
    in_order = [names[number] for number in range(len(names))] if isinstance(names, Mapping) else names
    if not all(isinstance(one, str | int) for one in in_order):
        raise ValueError("names are no names of classes")
    classes = distinct(list(map(str, in_order)))
    if shape is None:
        return _Kinds(classes)
    count, numbers = (int(pixels(one)) for one in shape)
    if not (0 < count < 1000 and numbers in (2, 3)):
        raise ValueError(f"kpt_shape is {shape!r:.60}")
    return _Kinds(classes, tuple(map(str, range(count))), numbers)


def _images(root: Path, named: Any) -> list[Path]:
    """The images that a split names: a folder, a list of files, or several of both."""
    found: list[Path] = []
    for name in named if isinstance(named, list) else [named]:
        path = _place(root, name)
        if path.suffix == ".txt":
            found += [_place(root, line) for line in read_lines(path)]
        elif path.is_dir():
            found += find_files(path, SUFFIXES)
        else:
            raise ValueError(f"there is no folder {name!r:.60}")
    return found


def _place(root: Path, name: Any) -> Path:
    """A file or folder of the data set. Some exports name it from a folder beside it: `../valid/images`."""
    if isinstance(name, str) and name.startswith("../"):
        name = name.removeprefix("../")
    return path_within(root, name)


def _objects(image: Path, root: Path, kinds: _Kinds) -> tuple[ObjectTruth, ...]:
    """The objects in the label file of an image; none where there is none."""
    path = _label_file(image, root)
    with expected(path, "labels of YOLO", LABEL_FORM):
        if not path.is_file():
            return ()
        size = image_size(image)
        return tuple(_object(line, size, kinds) for line in read_lines(path))


def _label_file(image: Path, root: Path) -> Path:
    """Where the labels of an image are: in `labels/` as it is in `images/`, or beside it."""
    parts = list(image.relative_to(root).parts)
    folders = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if folders:
        parts[folders[-1]] = "labels"
    return root.joinpath(*parts).with_suffix(".txt")


def _object(line: str, size: tuple[int, int], kinds: _Kinds) -> ObjectTruth:
    number, *words = line.split()
    if not number.isdecimal() or int(number) >= len(kinds.classes):
        raise ValueError(f"the line {line!r:.60} begins with no number of the {len(kinds.classes)} classes")
    label, numbers = kinds.classes[int(number)], [pixels(word) for word in words]
    if len(numbers) == 4 + len(kinds.keypoints) * kinds.numbers:
        box = _cut(_around(numbers[:4]), size)
        area = (box[2] - box[0]) * (box[3] - box[1])
        return ObjectTruth(box, label, area=area, keypoints=_keypoints(numbers[4:], size, kinds))
    if not kinds.keypoints and len(numbers) >= 6 and len(numbers) % 2 == 0:
        points = _scaled(numbers, size)
        return ObjectTruth(_cut(box_around(list(zip(numbers[::2], numbers[1::2], strict=True))), size), label,
                           area=polygon_area(points))  # fmt: skip
    raise ValueError(f"the line {line!r:.60} is neither a box nor a polygon")


def _around(numbers: Sequence[float]) -> Box:
    x, y, width, height = numbers
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _cut(box: Box, size: tuple[int, int]) -> Box:
    """A box by shares of an image as one in pixels."""
    if min(box) < -BEYOND or max(box) > 1 + BEYOND:
        raise ValueError(f"the box {list(box)} reaches beyond the image, which is from 0 to 1")
    x1, y1, x2, y2 = (min(max(one, 0.0), 1.0) for one in box)
    width, height = size
    return x1 * width, y1 * height, x2 * width, y2 * height


def _scaled(numbers: Sequence[float], size: tuple[int, int]) -> tuple[Point, ...]:
    return tuple((x * size[0], y * size[1]) for x, y in zip(numbers[::2], numbers[1::2], strict=True))


def _keypoints(numbers: Sequence[float], size: tuple[int, int], kinds: _Kinds) -> tuple[KeypointTruth, ...]:
    """Key points; without a number for it, one at the image's corner is not labelled."""
    rows = [numbers[at : at + kinds.numbers] for at in range(0, len(numbers), kinds.numbers)]
    return tuple(
        KeypointTruth(x * size[0], y * size[1], int(seen[0]) if seen else 2 * bool(x or y)) for x, y, *seen in rows
    )
