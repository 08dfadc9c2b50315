"""Small bundles that tests may change: copies of those in `tests/data/first_layout`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from compiler.artifact import LOCK_FILE, file_digests, write_json
from compiler.report import Report

FIRST_LAYOUT = Path(__file__).parent / "data/first_layout"


def small_bundle(folder: Path, name: str) -> Path:
    """Copy a bundle, give it pictures in the place of those that are not kept, and lock it."""
    bundle = Path(shutil.copytree(FIRST_LAYOUT / name, folder))
    (bundle / "predicted.json").unlink(missing_ok=True)
    for picture in Report.load(bundle).pictures:
        cv2.imwrite(str(bundle / picture), np.zeros((4, 4, 3), np.uint8))
    lock_again(bundle)
    return bundle


def lock_again(bundle: Path) -> None:
    """Let a bundle's lock say that its files are as they are now: what a stranger does who changed them."""
    lock = json.loads((bundle / LOCK_FILE).read_text())
    write_json(bundle / LOCK_FILE, {**lock, "files": file_digests(bundle, exclude=(LOCK_FILE,))})


def change_json(path: Path, **values: Any) -> None:
    """Set keys of a JSON file."""
    write_json(path, {**json.loads(path.read_text()), **values})


def record_own_outputs(bundle: Path) -> None:
    """Keep in a bundle what its engine itself gives for its task's sample, as if it were the network, and lock it."""
    from compiler import runtime
    from compiler.proof import proof_of
    from compiler.proof.prepared_values import numbers_in
    from compiler.proof.recording import Recording

    opened, size = runtime.open(bundle, trust_changes=True), runtime.read_config(bundle).usual_input
    prepared = proof_of(opened.task).samples(opened.task.read(opened.task.sample_source()), size.batch, size.size)
    outputs = opened.session.run(prepared.tensors)
    Recording(size, "network", dict(numbers_in(prepared)), outputs).save(bundle)
    lock_again(bundle)
