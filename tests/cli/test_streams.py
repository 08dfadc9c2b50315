"""What reaches the terminal beside our own message: nothing."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from compiler.cli.streams import libraries_silenced

NOISY = """
import logging, os, sys, warnings
import cv2
import numpy as np
from compiler.cli.streams import libraries_silenced, tell

damaged = np.fromfile(sys.argv[1], np.uint8)

def make_noise():
    os.write(2, b"a line of C\\n")
    warnings.warn("a warning of Python")
    logging.getLogger("onnxscript.optimizer").warning("Skipping constant folding for op Split")
    cv2.imdecode(damaged, cv2.IMREAD_COLOR)
    torch_like.warning("a record of torch")
    tell("error: ours")

with libraries_silenced():
    torch_like = logging.getLogger("torch.onnx")
    torch_like.propagate = False
    torch_like.addHandler(logging.StreamHandler())
    make_noise()
print("afterwards", file=sys.stderr)
if sys.argv[2] == "loud":
    make_noise()
"""


@pytest.fixture
def damaged(tmp_path):
    """A JPEG and what libjpeg says of by itself: bytes that belong to nothing."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = bytearray(cv2.imencode(".jpg", noise)[1].tobytes())
    data[len(data) // 2 :] = data[len(data) // 2 : -2] + bytes(1000) + data[-2:]
    (tmp_path / "damaged.jpg").write_bytes(data)
    return tmp_path / "damaged.jpg"


def said(*arguments):
    command = [sys.executable, "-c", NOISY, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()


def test_libraries_are_silent_and_our_message_is_not(damaged):
    assert said(damaged, "quiet") == ["error: ours", "afterwards"]


def test_outside_of_it_they_are_heard(damaged):
    lines = "\n".join(said(damaged, "loud")[2:])
    assert "a line of C" in lines
    assert "a warning of Python" in lines
    assert "Skipping constant folding" in lines
    assert "Corrupt JPEG data" in lines


def test_a_stream_that_somebody_redirected_is_left_alone(capsys):
    with libraries_silenced():
        print("ours", file=sys.stderr)
    assert capsys.readouterr().err == "ours\n"
