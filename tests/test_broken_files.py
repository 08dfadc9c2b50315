"""Every reader of what a user names, given every way in which that may be broken: one error, which is no defect."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from compiler import runtime
from compiler.artifact import Engine, Program, file_digest, read_json, recover_folder
from compiler.artifact.lock import require_unchanged
from compiler.checkpoint import read_checkpoint
from compiler.config import compose
from compiler.config.config_dir import require_config_dir
from compiler.config.known_classes import modules_of
from compiler.datasets.annotations import read_annotations
from compiler.datasets.calibration import find_items
from compiler.datasets.coco import read_coco
from compiler.datasets.icdar import read_icdar_words
from compiler.datasets.kitti import read_kitti
from compiler.datasets.lists import read_list
from compiler.datasets.mmocr import read_mmocr, read_mmocr_lines
from compiler.datasets.nuscenes import read_nuscenes
from compiler.errors import CompileError
from compiler.graphs import read_onnx_file
from compiler.graphs.self_contained import require_self_contained
from compiler.openmmlab.reader import read_config
from compiler.openmmlab.translate import translate_file
from compiler.openmmlab.translated_model import folders_of_packages
from compiler.precision.int8.table import CalibrationTable
from compiler.report import Report
from compiler.tasks.arrays.files import read_arrays
from compiler.tasks.arrays.spec import InputSpec
from compiler.tasks.boxes import read_boxes
from compiler.tasks.images import read_image
from compiler.tasks.points import read_points

ARRAYS = (InputSpec.parse("x", "1x3"),)
CONFIG = compose(["model=rtmpose-t"])


def calibration_items(path):
    from dataclasses import replace

    from compiler.tasks import build_task

    calibration = replace(CONFIG.calibration, data=str(path))
    return find_items(replace(CONFIG, calibration=calibration), build_task(CONFIG.model.processing))


FILES = {
    "image": (read_image, ".png"),
    "points": (partial(read_points, columns=4, used=4), ".bin"),
    "array": (partial(read_arrays, specs=ARRAYS), ".npy"),
    "arrays": (partial(read_arrays, specs=ARRAYS), ".npz"),
    "boxes": (lambda path: read_boxes(str(path), (10, 10)), ".json"),
    "checkpoint": (read_checkpoint, ".pth"),
    "safetensors": (read_checkpoint, ".safetensors"),
    "onnx": (read_onnx_file, ".onnx"),
    "onnx in a bundle": (require_self_contained, ".onnx"),
    "openmmlab": (read_config, ".py"),
    "openmmlab yaml": (read_config, ".yaml"),
    "openmmlab json": (read_config, ".json"),
    "translated": (lambda path: translate_file(path, {}), ".py"),
    "list": (read_list, ".txt"),
    "coco": (lambda path: read_coco(path, path.parent), ".json"),
    "annotations": (lambda path: read_annotations(path, path.parent), ".json"),
    "mmocr": (lambda path: read_mmocr(path, path.parent), ".json"),
    "mmocr lines": (lambda path: read_mmocr_lines(path, path.parent), ".txt"),
    "icdar": (lambda path: read_icdar_words(path, path.parent), ".txt"),
    "kitti": (lambda path: read_kitti(path.parent, path), ".txt"),
    "calibration": (calibration_items, ".json"),
    "calibration list": (calibration_items, ".txt"),
    "table": (CalibrationTable.load, ".json"),
    "json": (read_json, ".json"),
    "digest": (file_digest, ".pth"),
}
"""What reads a file, and what such a file's name ends in."""

FOLDERS = {
    "bundle": (runtime.open, "lock.json"),
    "changed bundle": (partial(runtime.open, trust_changes=True), "engine.json"),
    "config of a bundle": (runtime.read_config, "config.yaml"),
    "lock": (require_unchanged, "lock.json"),
    "report": (Report.load, "report.json"),
    "engine": (Engine.load, "engine.json"),
    "program": (Program.load, "program.json"),
    "nuscenes": (partial(read_nuscenes, version="."), "sensor.json"),
    "classes of a config folder": (modules_of, "model/mine.yaml"),
    "config folder": (lambda folder: compose(["model=mine"], folder), "model/mine.yaml"),
    "packages": (lambda folder: folders_of_packages({"mmdet": str(folder)}), "mine.py"),
    "config folder that has to be there": (require_config_dir, "model/mine.yaml"),
}
"""What reads a folder, and the file in it that is broken."""


def archive(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr(name, content)
    return file.getvalue()


def saved(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def npy(header):
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def safetensors(header):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def onnx_model(**fields):
    node = onnx.NodeProto(op_type="Relu", input=["x"], output=["y"])
    values = [onnx.helper.make_tensor_value_info(name, 1, [1, 3]) for name in "xy"]
    for value in values:
        value.type.tensor_type.elem_type = fields.get("elem_type", 1)
    graph = onnx.helper.make_graph([node], "g", values[:1], values[1:])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)]).SerializeToString()


HUGE = "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999,)}"

CONTENTS = {
    "nothing": b"",
    "zeros": bytes(64),
    "noise": bytes(np.random.default_rng(0).integers(0, 256, 512, np.uint8)),
    "text in Latin-1": "naïve: café\n".encode("latin-1"),
    "halves of surrogates": b'{"a": "\\ud800", "images": "\\udfff"}',
    "a control": b"a: \x01\n",
    "open brackets": b"[" * 5_000,
    "open braces": b'{"a":' * 5_000,
    "lists in lists": b"- " * 5_000,
    "a number": b"3",
    "a list": b"[1, 2]",
    "null": b"null",
    "an enormous number": b'{"version": 1e999, "format": ' + b"9" * 5000 + b"}",
    "a wrong bool": b"a: !!bool maybe",
    "a wrong float": b'a: !!float ""',
    "a wrong date": b"a: 2001-99-99",
    "a key that is a list": b"? [a]\n: 1",
    "two documents": b"a: 1\n---\nb: 2\n",
    "a tag of Python": b"a: !!python/object/apply:os.getcwd []",
    "an alias of nothing": b"a: *b",
    "an unclosed reference": b'a: "${"',
    "a ring of references": b"name: ${model.name}",
    "a broken archive": archive("data.pkl", b"x" * 100)[:-30],
    "an archive of something else": archive("data.pkl", b"x" * 100),
    "an archive of an array that is none": archive("x.npy", b"x" * 100),
    "an archive of a huge array": archive("x.npy", npy(HUGE)),
    "a pickle of a number": pickle.dumps(3),
    "a truncated pickle": pickle.dumps({"a": list(range(100))})[:-20],
    "a checkpoint of a number": saved(3),
    "weights without numbers": saved({"state_dict": {"a": torch.empty(3, device="meta")}}),
    "an array of objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (3,)}"),
    "an array of a negative length": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}"),
    "an array whose header is no mapping": npy("3"),
    "an array whose header is nested": npy("(" * 100),
    "tensors of a wrong shape": safetensors({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 0]}}),
    "tensors of an unknown type": safetensors({"a": {"dtype": "F99", "shape": [], "data_offsets": [0, 0]}}),
    "a header that is too long": struct.pack("<Q", 2**62) + b"{}",
    "an image that is cut": b"\x89PNG\r\n\x1a\n" + bytes(40),
    "a graph of an unknown type": onnx_model(elem_type=99),
    "a truncated graph": onnx_model()[:-5],
}  # fmt: skip

NAMES = {
    "missing": lambda folder, suffix: folder / f"missing{suffix}",
    "below a file": lambda folder, suffix: written(folder / "file", b"x") / f"a{suffix}",
    "a ring of links": lambda folder, suffix: linked(folder / f"ring{suffix}"),
    "too long": lambda folder, suffix: folder / f"{'n' * 300}{suffix}",
    "longer than any path": lambda folder, suffix: folder / "/".join(["n" * 200] * 30) / f"a{suffix}",
    "with a zero": lambda folder, suffix: folder / f"a\0b{suffix}",
    "half a surrogate pair": lambda folder, suffix: folder / f"a\ud800{suffix}",
}
"""Paths at which nothing can be."""


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def linked(path):
    path.symlink_to(path)
    return path


def outcome(read, path):
    """The error that reading ends in; None where it ends in none."""
    try:
        read(path)
    except CompileError as error:
        return error
    return None


@pytest.mark.parametrize("reader", [*FILES, *FOLDERS])
def test_a_path_at_which_nothing_can_be_is_one_error(tmp_path, reader):
    read, suffix = FILES[reader] if reader in FILES else (FOLDERS[reader][0], "")
    for name, path in NAMES.items():
        error = outcome(read, path(tmp_path, suffix))
        assert error is not None, name
        assert error.where, name
        assert len(error.summary) < 10_000, name
        assert str(error).encode("utf-8"), name


@pytest.mark.parametrize("reader", FILES)
def test_a_folder_in_the_place_of_a_file_is_one_error(tmp_path, reader):
    read, suffix = FILES[reader]
    (tmp_path / f"folder{suffix}").mkdir()
    assert outcome(read, tmp_path / f"folder{suffix}") is not None


@pytest.mark.parametrize("reader", FILES)
def test_a_broken_file_is_one_error_about_it_or_read(tmp_path, reader):
    read, suffix = FILES[reader]
    for kind, content in CONTENTS.items():
        error = outcome(read, written(tmp_path / f"broken{suffix}", content))
        assert error is None or "broken" in f"{error.what} {error.where}", kind


@pytest.mark.parametrize("reader", FOLDERS)
def test_a_folder_with_a_broken_file_is_one_error_or_read(tmp_path, reader):
    read, file = FOLDERS[reader]
    for kind, content in CONTENTS.items():
        written(tmp_path / file, content)
        error = outcome(read, tmp_path)
        assert error is None or error.what, kind


@pytest.mark.parametrize("name", NAMES)
def test_an_older_folder_is_looked_for_wherever_a_path_leads(tmp_path, name):
    path = NAMES[name](tmp_path, "")
    assert outcome(recover_folder, path) is None or not Path(path).name.startswith("missing")
