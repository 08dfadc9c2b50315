"""The annotations of ICDAR's Robust Reading competitions: https://rrc.cvc.uab.es, tasks 1, 3 and 4 of 2013 and 2015."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from compiler.datasets.dataset import Dataset, Item, Point, TextTruth
from compiler.datasets.files import expected, find_files, path_within, pixels, read_lines
from compiler.errors import CompileError

UNREADABLE = "###"
"""The text of what an evaluation leaves out."""
SUFFIXES = (".jpg", ".jpeg", ".png")
PREFIX = "gt_"
TEXT_FORM = "each line is x1,y1,x2,y2,x3,y3,x4,y4,text, or left, top, right, bottom, text"
WORD_FORM = 'each line is a file and its text: word_1.png, "text"'
_NUMBER = r"\s*(-?\d+(?:\.\d+)?)\s*"
_QUAD = re.compile(",".join([_NUMBER] * 8) + ",(.*)")
_RECTANGLE = re.compile(r"[,\s]\s*".join([r"\s*(-?\d+(?:\.\d+)?)"] * 4) + r"[,\s]\s*(.*)")
_WORD = re.compile(r'([^,]+),\s*"(.*)"')


def read_icdar(images: Path, annotations: Path) -> Dataset:
    """The images of a folder, each with the texts in its `gt_<name>.txt`.

    Args:
        images: The folder of images.
        annotations: The folder of text files.

    Raises:
        CompileError: An image has no annotations, or they are none.
    """
    return Dataset(tuple(Item(image, _texts(annotations / f"gt_{image.stem}.txt")) for image in _images(images)))


def read_icdar_folder(source: Path) -> Dataset:
    """The images below a folder that a `gt_<name>.txt` below it is about, each with its texts.

    Args:
        source: The folder of one split, in which images and texts are as the competitions' archives have them; or a
            list of words, each an image of its own beside it.

    Raises:
        CompileError: There are no such files, an image is missing or there twice, or a file holds something else.
    """
    if not source.is_dir():
        return read_icdar_words(source, source.parent)
    files = [path for path in find_files(source, (".txt",)) if path.stem.startswith(PREFIX)]
    if not files:
        raise CompileError("the folder holds no texts of ICDAR", where=str(source), fix="name the folder of gt_*.txt")
    images: dict[str, list[Path]] = {}
    for image in _images(source):
        images.setdefault(image.stem, []).append(image)
    return Dataset(tuple(Item(_only(images, path), _texts(path)) for path in files))


def _only(images: Mapping[str, Sequence[Path]], texts: Path) -> Path:
    """The one image that a file of texts is about."""
    name = texts.stem.removeprefix(PREFIX)
    found = images.get(name, ())
    if len(found) != 1:
        raise CompileError(
            f"there are {len(found)} images called {name}",
            where=str(texts),
            why="texts are of the one image that they are named after",
            fix="name the folder of one split, which holds images and texts",
        )
    return found[0]


def read_icdar_words(annotations: Path, images: Path) -> Dataset:
    """The words of a `gt.txt`, each an image of its own.

    Raises:
        CompileError: The file cannot be read, or a line is no word.
    """
    with expected(annotations, "words of ICDAR", WORD_FORM):
        return Dataset(tuple(_word(line, images) for line in read_lines(annotations)))


def _images(folder: Path) -> list[Path]:
    return find_files(folder, SUFFIXES)


def _texts(path: Path) -> tuple[TextTruth, ...]:
    with expected(path, "texts of ICDAR", TEXT_FORM):
        return tuple(map(_text, read_lines(path)))


def _text(line: str) -> TextTruth:
    quad, rectangle = _QUAD.fullmatch(line), _RECTANGLE.fullmatch(line)
    if quad:
        *numbers, text = quad.groups()
        xs, ys = numbers[::2], numbers[1::2]
        polygon: tuple[Point, ...] = tuple((pixels(x), pixels(y)) for x, y in zip(xs, ys, strict=True))
    elif rectangle:
        left, top, right, bottom = map(pixels, rectangle.groups()[:4])
        polygon, text = ((left, top), (right, top), (right, bottom), (left, bottom)), rectangle[5]
    else:
        raise ValueError(f"the line {line!r} is no text with its corners")
    text = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    return TextTruth(text, polygon, ignore=text == UNREADABLE)


def _word(line: str, images: Path) -> Item:
    match = _WORD.fullmatch(line)
    if match is None:
        raise ValueError(f"the line {line!r} is no word")
    text = re.sub(r"\\(.)", r"\1", match[2])
    return Item(path_within(images, match[1]), (TextTruth(text, ignore=text == UNREADABLE),))
