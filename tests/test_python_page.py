"""The examples of docs/python.md: they run, one after the other, in a folder with what they name."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from pathlib import Path

import pytest

from compiler.errors import Caution
from tests.bundles import small_bundle
from tests.conftest import PHOTOGRAPH, REPOSITORY
from tests.metrics.drawn import NAMES

PAGE = REPOSITORY / "docs/python.md"
BUNDLES = {
    "objects": "detection_rtmdet-tiny_onnxruntime_static_640x640",
    "text": "text-detection_dbnet_onnxruntime_dynamic_736x1312",
    "reader": "text-recognition_crnn_onnxruntime_dynamic_32x100",
}


def examples() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def annotations() -> dict[str, object]:
    """A person on the photograph, in COCO's form."""
    points = [number for index in range(17) for number in (100 + 10 * index, 100 + 20 * index, 2)]
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [80, 20, 230, 440], "area": 60_000, "iscrowd": 0}
    return {
        "images": [{"id": 1, "file_name": "street.jpg", "width": 512, "height": 600}],
        "annotations": [{**person, "keypoints": points, "num_keypoints": 17}],
        "categories": [{"id": 1, "name": "person", "keypoints": list(NAMES)}],
    }


@pytest.fixture
def folder(outputs, shared_cache, tmp_path, monkeypatch):
    """The folder that the examples run in; what is compiled there has been compiled before."""
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/.cache").symlink_to(shared_cache)
    for name, bundle in BUNDLES.items():
        small_bundle(tmp_path / "outputs" / bundle, name)
    shutil.copy(PHOTOGRAPH, tmp_path / "street.jpg")
    shutil.copy(REPOSITORY / "compiler/tasks/photographs/page.png", tmp_path / "page.jpg")
    (tmp_path / "people.json").write_text(json.dumps(annotations()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_example_runs(folder):
    namespace: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", Caution)
        for number, example in enumerate(examples()):
            exec(compile(example, f"{PAGE.name}, example {number}", "exec"), namespace)
    assert namespace["outcome"].bundle == Path("outputs/rtmpose/pose-detection_simcc_onnxruntime_dynamic_256x192")
    assert len(namespace["first"]) == len(namespace["second"]) == 1
    assert namespace["word"].text
    assert namespace["timed"].timings[0].statistics.count == 5
    assert namespace["folders"] == (Path("models/people"), Path("models/people_engine"))


def test_every_function_of_the_package_is_shown():
    import compiler

    shown = PAGE.read_text()
    assert all(f"{name}(" in shown for name in compiler.__all__)
