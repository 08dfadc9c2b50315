"""MMDeploy 1.3.1's figures for the same models: a lead to look for, not a bar.

They come from a run of its own on a like machine: two cores of an x86 processor and no GPU, with torch 2.1.2 and ONNX
Runtime 1.15.1. Its seconds are those of `tools/deploy.py`, which compares no numbers; ours include the proof. Its
milliseconds are the lowest of several medians of 30 runs.
"""

from __future__ import annotations

from typing import NamedTuple

from compiler.config.sizes import Size


class Figures(NamedTuple):
    """What a conversion cost, and what came out."""

    seconds: float
    nodes: int
    milliseconds: float
    size: Size = ()
    """Where it was measured, if not at the model's own size."""


MMDEPLOY = {
    "rtmpose-m": Figures(22.5, 262, 14.0),
    "hrnet-w32": Figures(39.8, 845, 35.4),
    "simcc-res50": Figures(26.6, 141, 28.1),
    "litehrnet-18": Figures(40.2, 2498, 10.7),
    "mspn-1x": Figures(24.2, 176, 23.4),
    "hourglass-52": Figures(34.6, 208, 129),
    "yoloxpose-s": Figures(22.0, 965, 114),
    "rtmdet-tiny": Figures(24.2, 416, 66.5),
    "retinanet-r50": Figures(51.5, 751, 1131),
    "yolov3-608": Figures(27.3, 428, 334),
    "dbnet": Figures(18.7, 160, 117, (640, 640)),
    "psenet": Figures(23.7, 217, 543, (640, 640)),
    "panet": Figures(21.4, 343, 197, (640, 640)),
    "crnn": Figures(20.2, 86, 3.6),
    "pointpillars": Figures(19.9, 127, 203, (2055,)),
    "centerpoint": Figures(19.1, 230, 322, (1866,)),
}
"""By the names in `conf/model/`."""
