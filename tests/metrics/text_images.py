"""Texts in images that are drawn by chance, the same on every machine: what is true, and what is found and read.

It needs the standard library alone, so that MMOCR's metrics can read it in an environment without ours.
"""

from __future__ import annotations

import math
from random import Random

IMAGES, TEXTS = 16, 14
WORDS = (
    ("Genaxis", "Genaxis"),
    ("Theatre", "theatre"),
    ("IT'S", "ITS"),
    ("3:00PM", "3.00pm"),
    ("EXIT", "EX1T"),
    ("hello-world", "helloworld!"),
    ("Straße", "STRASSE"),
    ("Ünïcode", "Unicode"),
    ("中文字", "中文宇"),
    ("a^b", "ab"),
    ("---", "!!"),
    ("İstanbul", "istanbul"),
    ("", "x"),
    ("ABBA", "abab"),
    ("recognition", "recogmtion"),
)
"""What is written and what is read."""

Polygon = list[tuple[float, float]]


def images(seed: int = 5) -> list[tuple[list[tuple[Polygon, bool]], list[tuple[Polygon, float]]]]:
    """For each image what is true, and whether it is ignored; and what is found, and its score."""
    random = Random(seed)
    return [_image(random) for _ in range(IMAGES)]


def _image(random: Random) -> tuple[list[tuple[Polygon, bool]], list[tuple[Polygon, float]]]:
    true = [(_text(random), random.random() < 0.25) for _ in range(TEXTS)]
    found = []
    for polygon, _ in true:
        for _ in range(random.randrange(3)):
            x, y, score = random.gauss(0, 5), random.gauss(0, 2.5), random.uniform(0.3, 1)
            found.append(([(a + x, b + y) for a, b in polygon], score))
    return true, found + [(_text(random), random.uniform(0.2, 0.6)) for _ in range(4)]


def _text(random: Random) -> Polygon:
    """A quadrangle that is turned; some lie close to each other."""
    x, y, angle = random.uniform(40, 160), random.uniform(40, 120), random.gauss(0, 0.3)
    width, height = random.uniform(20, 90), random.uniform(10, 30)
    corners = ((0, 0), (width, random.uniform(-3, 3)), (width, height), (random.uniform(-3, 3), height))
    cosine, sine = math.cos(angle), math.sin(angle)
    return [(x + a * cosine - b * sine, y + a * sine + b * cosine) for a, b in corners]
