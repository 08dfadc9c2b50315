"""A small KITTI that is drawn by chance, the same on every machine: its files, and what a detector finds in it.

It needs the standard library alone, so that MMDetection3D's evaluation can read it in an environment without ours.
"""

from __future__ import annotations

import math
from pathlib import Path
from random import Random

FRAMES, OBJECTS = 36, 9
SIZE = (1242, 375)
"""Of the images, which are not there: KITTI's usual one."""
TILT = 0.03
"""By which the camera looks down, in radians: its frame is not the scanner's with other axes."""
BEHIND, BELOW = 0.27, 0.08
FOCAL, CENTER = 721.5, (609.6, 172.9)
PROJECTION = (
    (FOCAL, 0.0, CENTER[0], 44.9),
    (0.0, FOCAL, CENTER[1], 0.22),
    (0.0, 0.0, 1.0, 0.0027),
)
SIZES = {
    "Car": (3.9, 1.5, 1.6),
    "Pedestrian": (0.8, 1.75, 0.6),
    "Cyclist": (1.76, 1.73, 0.6),
    "Van": (5.0, 2.2, 1.9),
    "Person_sitting": (0.8, 1.3, 0.6),
}
"""Length, height and width."""
COSINE, SINE = math.cos(TILT), math.sin(TILT)
TO_CAMERA = (
    (0.0, -1.0, 0.0, 0.0),
    (SINE, 0.0, -COSINE, -BELOW),
    (COSINE, 0.0, SINE, -BEHIND),
)
"""From the scanner to the camera."""


def labels(seed: int = 3) -> list[list[dict]]:
    """The objects of each frame, in the frame of the camera."""
    random = Random(seed)
    return [[_label(random) for _ in range(OBJECTS)] + [_region(random)] for _ in range(FRAMES)]


def _label(random: Random) -> dict:
    name = list(SIZES)[min(random.randrange(8), 7) % 5]
    box = [random.uniform(-14, 14), random.uniform(1.4, 1.9), random.uniform(8, 45)]
    box += [side * random.uniform(0.9, 1.1) for side in SIZES[name]] + [random.uniform(-3.1, 3.1)]
    return {
        "name": name,
        "truncation": random.choice((0.0, 0.0, 0.0, 0.1, 0.25, 0.4, 0.8)),
        "occlusion": random.choice((0, 0, 0, 1, 2, 3)),
        "box": box,
        "image_box": in_image(box),
    }


def _region(random: Random) -> dict:
    x, y = random.uniform(0, 1100), random.uniform(100, 250)
    image_box = [x, y, x + random.uniform(60, 200), y + random.uniform(30, 100)]
    box = [-1000.0, -1000.0, -1000.0, -1.0, -1.0, -1.0, -10.0]
    return {"name": "DontCare", "truncation": -1.0, "occlusion": -1, "box": box, "image_box": image_box}


def detections(seed: int = 4) -> list[list[dict]]:
    """For each frame boxes in the frame of the camera: most of what is true, displaced, and some of nothing."""
    random = Random(seed)
    return [
        [_near(one, random) for one in frame for _ in range(random.choice((0, 1, 1, 1, 1, 2))) if one["name"] in SIZES]
        + [_anywhere(random) for _ in range(2)]
        for frame in labels()
    ]


def _near(label: dict, random: Random) -> dict:
    box = [number + random.gauss(0, 0.13) for number in label["box"]]
    wrong = {"Van": "Car", "Person_sitting": "Pedestrian"}
    return {"name": wrong.get(label["name"], label["name"]), "box": box, "score": round(random.uniform(0.2, 1), 2)}


def _anywhere(random: Random) -> dict:
    name = random.choice(("Car", "Pedestrian", "Cyclist"))
    box = [random.uniform(-30, 30), random.uniform(1, 2), random.uniform(-20, 75), *SIZES[name], random.uniform(-3, 3)]
    return {"name": name, "box": box, "score": round(random.uniform(0, 0.8), 2)}


def in_image(box: list[float]) -> list[float]:
    """Around a box as KITTI's kit draws it, within the image."""
    x1, y1, x2, y2 = projected(box)
    return [max(0.0, x1), max(0.0, y1), min(float(SIZE[0]), x2), min(float(SIZE[1]), y2)]


def projected(box: list[float]) -> list[float]:
    """Around the corners of a box, as KITTI's kit projects them."""
    x, y, z, length, height, width, angle = box
    pixels = []
    for along in (length / 2, -length / 2):
        for across in (width / 2, -width / 2):
            for up in (0.0, height):
                corner = (
                    x + math.cos(angle) * along + math.sin(angle) * across,
                    y - up,
                    z - math.sin(angle) * along + math.cos(angle) * across,
                    1.0,
                )
                u, v, w = (sum(a * b for a, b in zip(row, corner, strict=True)) for row in PROJECTION)
                pixels.append((u / w, v / w))
    us, vs = zip(*pixels, strict=True)
    return [min(us), min(vs), max(us), max(vs)]


def to_scanner(box: list[float]) -> list[float]:
    """x, y, z of the bottom, length, width, height and yaw of a box of the camera."""
    x, y, z, length, height, width, angle = box
    moved = (x, y + BELOW, z + BEHIND)
    place = [sum(TO_CAMERA[row][column] * moved[row] for row in range(3)) for column in range(3)]
    return [*place, length, width, height, -angle - math.pi / 2]


def write_files(root: Path) -> Path:
    for folder in ("velodyne", "label_2", "calib"):
        (root / folder).mkdir(parents=True)
    matrices = {"P2": PROJECTION, "R0_rect": ((1, 0, 0), (0, 1, 0), (0, 0, 1)), "Tr_velo_to_cam": TO_CAMERA}
    calibration = "".join(
        f"{name}: {' '.join(str(one) for row in rows for one in row)}\n" for name, rows in matrices.items()
    )
    for number, frame in enumerate(labels()):
        (root / f"velodyne/{number:06}.bin").touch()
        (root / f"calib/{number:06}.txt").write_text(calibration)
        (root / f"label_2/{number:06}.txt").write_text("".join(map(_line, frame)))
    return root


def _line(label: dict) -> str:
    x, y, z, length, height, width, angle = label["box"]
    numbers = [label["truncation"], label["occlusion"], -10, *label["image_box"], height, width, length, x, y, z, angle]
    return f"{label['name']} {' '.join(map(str, numbers))}\n"
