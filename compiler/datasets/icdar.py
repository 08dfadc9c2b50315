"""The annotations of ICDAR's Robust Reading competitions: https://rrc.cvc.uab.es, tasks 1, 3 and 4 of 2013 and 2015."""

from __future__ import annotations

import re
from pathlib import Path

from compiler.datasets.dataset import Dataset, Item, Point, TextTruth
from compiler.datasets.files import expected, find_files, read_lines

UNREADABLE = "###"
"""The text of what an evaluation leaves out."""
SUFFIXES = (".jpg", ".jpeg", ".png")
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
        polygon: tuple[Point, ...] = tuple((float(x), float(y)) for x, y in zip(xs, ys, strict=True))
    elif rectangle:
        left, top, right, bottom = map(float, rectangle.groups()[:4])
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
    return Item(images / match[1], (TextTruth(text, ignore=text == UNREADABLE),))
