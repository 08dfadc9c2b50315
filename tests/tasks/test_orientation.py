"""Files that a camera marked as turned."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from compiler.tasks.images import read_image

TURNED = (
    bytes.fromhex("ffe1 0022") + b"Exif\0\0" + bytes.fromhex("4d4d002a00000008 0001 011200030000000100060000 00000000")
)
"""A JPEG segment that says: turned by a quarter."""


@pytest.fixture
def turned(tmp_path):
    _, data = cv2.imencode(".jpg", np.zeros((8, 16, 3), np.uint8))
    file = tmp_path / "turned.jpg"
    file.write_bytes(data.tobytes()[:2] + TURNED + data.tobytes()[2:])
    return file


def test_a_file_is_turned_upright(turned):
    assert read_image(turned).shape == (16, 8, 3)


def test_a_file_is_left_as_it_lies_where_the_model_was_trained_so(turned):
    assert read_image(turned, ignore_orientation=True).shape == (8, 16, 3)
