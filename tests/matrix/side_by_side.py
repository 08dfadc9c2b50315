"""One input through every backend: a picture for each model, and how far apart what is found lies.

    python -m tests.matrix.side_by_side [model ...]

writes `docs/pictures/side_by_side_<model>.jpg`, what was measured beside it, and the table of docs/backends.md.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from compiler.artifact import Engine, write_json
from compiler.backends import build_backend
from compiler.checkpoint.random_weights import random_weights
from compiler.config import compose
from compiler.networks.build import build
from compiler.printable import caption
from compiler.report.numbers import error_text
from compiler.tasks.images import Image
from tests.conftest import REPOSITORY
from tests.matrix.child import Limits, bundle_folder, compile_cell, environment
from tests.matrix.decoded import Apart, apart, decoded, threshold_of
from tests.matrix.grid import COLUMNS, REFERENCE, Cell
from tests.matrix.page import PAGE, table
from tests.models_page import replaced

FAMILIES = ("rtmpose", "rtmdet", "dbnet", "crnn", "pointpillars")
FOLDER = REPOSITORY / "docs/pictures"
OUTPUTS = REPOSITORY / "outputs/side_by_side"
MEASURED = FOLDER / "side_by_side.json"
PLACE = "side by side"
WIDTH, CAPTION = 300, 28
"""Pixels of one panel, and of the line above it."""
SURER = 30.0
"""What the weights of a classifier are multiplied by."""
LARGEST = 150_000
"""Bytes of a picture."""


def main(families: Sequence[str]) -> None:
    """Compile, draw and measure the models that are named, or all; write the page."""
    os.environ.update(environment())
    measured = read_measured()
    for family in families or FAMILIES:
        measured[family] = _measure(family)
        write_json(MEASURED, measured)
    PAGE.write_text(replaced(PAGE.read_text("utf-8"), PLACE, content(measured)), "utf-8")


def read_measured() -> dict[str, Any]:
    """What was measured before, by the model and the backend: an `Apart`, or the reason why there is none."""
    return json.loads(MEASURED.read_text("utf-8")) if MEASURED.is_file() else {}


def _measure(family: str) -> dict[str, Any]:
    weights = _weights(family, OUTPUTS)
    measured: dict[str, Any] = {}
    panels: dict[str, Image] = {}
    reference, threshold = None, 0.0
    for column in COLUMNS:
        cell = Cell(family, column.backend, "static", column.usual)
        folder = bundle_folder(cell, OUTPUTS)
        backend = build_backend(compose(cell.overrides).backend)
        probe = backend.probe()
        if probe.run_problem and not backend.STAND_IN:
            measured[column.backend] = probe.run_problem
            continue
        print(f"{family} {column.backend} ...", flush=True)
        attempt = compile_cell(cell, OUTPUTS, Limits(), more=weights)
        bundle = next((path.parent for path in folder.rglob(Engine.SIDECAR)), None)
        if bundle is None or not attempt.compared_engine:
            measured[column.backend] = attempt.reason
            continue
        found = decoded(bundle)
        if reference is None:
            reference, threshold = found, threshold_of(found)
        measured[column.backend] = asdict(apart(reference, found))
        panels[column.backend] = found.drawn(threshold)
    write_picture(picture_of(family), row(panels))
    return measured


def _weights(family: str, folder: Path) -> tuple[str, ...]:
    """The overrides that give a model other weights than random ones; nothing where those find something.

    To a CRNN whose classifier knows no differences everything is blank, and there would be nothing to compare.
    """
    if family != "crnn":
        return ()
    network = build(compose(["model=crnn"]).model.network)
    weights = random_weights(network.state_dict())
    weights |= {name: SURER * tensor for name, tensor in weights.items() if name.endswith("embedding.weight")}
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(weights, folder / "crnn.pth")
    return (f"checkpoint={folder / 'crnn.pth'}",)


def picture_of(family: str) -> Path:
    """Where the picture of a model lies."""
    return FOLDER / f"side_by_side_{family}.jpg"


def row(panels: Mapping[str, Image]) -> Image:
    """Pictures of the same thing in a row, each below its name."""
    return np.ascontiguousarray(np.concatenate([_panel(name, image) for name, image in panels.items()], axis=1))


def _panel(name: str, image: Image) -> Image:
    height = round(image.shape[0] * WIDTH / image.shape[1])
    canvas = np.full((height + CAPTION, WIDTH + 4, 3), 255, np.uint8)
    canvas[CAPTION:, 2:-2] = cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA)
    cv2.putText(canvas, caption(name), (4, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas


def write_picture(path: Path, image: Image) -> None:
    """Write a JPEG, as good as its bytes allow."""
    path.parent.mkdir(exist_ok=True)
    for quality in range(90, 20, -10):
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if data.nbytes <= LARGEST:
            break
    path.write_bytes(data.tobytes())


def content(measured: Mapping[str, Any]) -> str:
    """The pictures and the table as the page has them."""
    header = ("Model", "Backend", "Results", "Place", "Score", "All of them")
    pictures = [f"![{family}](pictures/{picture_of(family).name})\n" for family in FAMILIES if family in measured]
    return "\n".join([*pictures, *table(header, list(_rows(measured)))])


def _rows(measured: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for family in FAMILIES:
        for backend, values in measured.get(family, {}).items():
            if isinstance(values, str):
                continue  # the matrix has the reason
            one = Apart(**{name: value if name == "unit" else float(value) for name, value in values.items()})
            place = f"{error_text(one.place)} {'m' if family == 'pointpillars' else 'px'}"
            told = (f"{one.found:.0f}", place, error_text(one.score), f"{error_text(one.whole)} {one.unit}")
            yield family, backend, *(told if backend != REFERENCE else (told[0], "", "", ""))


if __name__ == "__main__":
    main(sys.argv[1:])
