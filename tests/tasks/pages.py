"""Pages of printed words, whose places are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PAPER, INK = (246, 242, 230), (35, 32, 40)

# Text, size, and where its line's upper left corner is, in pixels; and by how much the line is turned, in degrees.
LINES = (
    ("A page of words", 46, (40, 28), 0),
    ("Every word has its own box,", 26, (42, 110), 0),
    ("and its place is known.", 26, (42, 152), 0),
    ("LARGE", 72, (330, 190), 0),
    ("and small ones too", 16, (44, 226), 0),
    ("this line is askew", 32, (90, 390), 12),
    ("1953", 40, (470, 400), 0),
)


@dataclass(frozen=True)
class Word:
    """One word on a page.

    Attributes:
        text: As it is printed.
        quad: `[4, 2]`, the corners of its ink as x and y in pixels, clockwise from the upper left of the letters.
    """

    text: str
    quad: np.ndarray


def page(size: tuple[int, int] = (640, 480)) -> tuple[np.ndarray, list[Word]]:
    """Print a page of a width and height: `[h, w, 3]`, BGR, and its words."""
    picture = Image.new("RGB", size, PAPER)
    words = [word for line in LINES for word in _print_line(picture, *line)]
    return np.ascontiguousarray(np.array(picture)[..., ::-1]), words


def _print_line(picture: Image.Image, text: str, size: int, corner: tuple[int, int], angle: float) -> list[Word]:
    """Print one line onto a picture, turned counterclockwise around its corner, and return its words."""
    font = ImageFont.load_default(size)
    ink = Image.new("L", picture.size)
    drawing, words, left = ImageDraw.Draw(ink), [], float(corner[0])
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    for text_of_word in text.split():
        drawing.text((left, corner[1]), text_of_word, 255, font)
        x1, y1, x2, y2 = drawing.textbbox((left, corner[1]), text_of_word, font)
        quad = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
        words.append(Word(text_of_word, ((quad - corner) @ turn + corner).astype(np.float32)))
        left += font.getlength(text_of_word + " ")
    turned = ink.rotate(angle, Image.Resampling.BICUBIC, center=corner)
    picture.paste(INK, mask=turned)
    return words
