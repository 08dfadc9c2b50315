"""`build` on a bundle from a stranger: it reads and writes that bundle and our own cache, whatever the bundle says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from omegaconf import OmegaConf

from compiler.artifact import LOCK_FILE, file_digests, write_json
from compiler.backends.tensorrt import TensorRT
from compiler.config import compose
from compiler.errors import CompileError, ExitCode
from compiler.pipeline import build_bundle
from compiler.report import Report
from tests.bundles import change_json, lock_again, small_bundle
from tests.conftest import PHOTOGRAPH

MEASUREMENTS = "measurements"


@pytest.fixture
def building(with_tensorrt, monkeypatch):
    """Let an engine be built at once, and its measurements be kept; return where each build kept them."""
    seen = []

    def build(self, request):
        engine = self.deferred_build(request)
        engine.path.write_bytes(b"engine")
        write_json(request.folder / "engine_details.json", {"library": "tensorrt", "version": "10.3"})
        request.cache.mkdir(parents=True, exist_ok=True)
        (request.cache / MEASUREMENTS).touch()
        seen.append(request.cache)
        return engine

    monkeypatch.setattr(TensorRT, "build", build)
    return seen


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A bundle whose engine is still to be built; the current folder is another one."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return small_bundle(tmp_path / "received/bundle", "tensorrt")


def change_config(bundle, **values):
    config = OmegaConf.load(bundle / "config.yaml")
    OmegaConf.save(OmegaConf.merge(config, values), bundle / "config.yaml")
    lock_again(bundle)


def beside_locks(folder):
    """The names of what lies in a folder, but for what a process holds while it writes."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def refused(bundle, match, **how):
    """Refuse a build, and leave the bundle and what lies beside it as they were."""
    before, beside = file_digests(bundle), beside_locks(bundle.parent)
    with pytest.raises(CompileError, match=match) as caught:
        build_bundle(bundle, **how)
    assert file_digests(bundle) == before
    assert beside_locks(bundle.parent) == beside
    return caught.value


def test_the_engine_is_built_and_the_lock_knows_it(bundle, building):
    key = json.loads((bundle / LOCK_FILE).read_text())["key"]
    assert build_bundle(bundle).exit_code == ExitCode.PROVEN
    lock = json.loads((bundle / LOCK_FILE).read_text())
    assert lock["key"] == key
    assert lock["files"] == file_digests(bundle, exclude=(LOCK_FILE,))
    assert "end2end.engine" in lock["files"]


def test_where_the_config_says_that_things_are_written_counts_for_nothing(bundle, building, tmp_path):
    change_config(bundle, output=str(tmp_path / "theirs"), cache=str(tmp_path / "their cache"))
    build_bundle(bundle)
    (cache,) = building
    assert (Path.cwd() / cache).resolve().is_relative_to(Path.cwd() / "outputs/.cache")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["received", "work"]
    build_bundle(bundle, cache=tmp_path / "ours")
    assert list((tmp_path / "ours").rglob(MEASUREMENTS))


def test_what_is_built_without_a_word_is_kept_where_a_compile_keeps_it(bundle, building):
    build_bundle(bundle)
    assert building[0].parent == Path(compose(["model=rtmpose"]).output) / ".cache"


def test_the_input_that_the_config_names_is_not_read(bundle, building, tmp_path):
    os.mkfifo(tmp_path / "private.jpg")  # who opens it waits
    (tmp_path / "boxes.json").write_text("no boxes")
    change_config(bundle, input=str(tmp_path / "private.jpg"), box=str(tmp_path / "boxes.json"))
    assert build_bundle(bundle).exit_code == ExitCode.PROVEN


def test_the_input_that_is_given_is_read(bundle, building, tmp_path):
    assert build_bundle(bundle, source=PHOTOGRAPH, box="80,20,310,460").exit_code == ExitCode.PROVEN
    (tmp_path / "none.jpg").write_text("no picture")
    refused(bundle, "none.jpg", source=tmp_path / "none.jpg")


PICTURES = {
    "absolute": ["/etc/passwd", "output_program.jpg"],
    "beside": ["output_pytorch.jpg", "../secret.jpg"],
    "three": ["output_pytorch.jpg", "output_program.jpg", "output_program.jpg"],
    "none": [],
    "a text": "ab/",
    "numbers": [1, 2],
    "null": None,
}


@pytest.mark.parametrize("pictures", PICTURES.values(), ids=PICTURES)
def test_pictures_are_two_files_of_the_bundle(bundle, building, pictures):
    cv2.imwrite(str(bundle.parent / "secret.jpg"), np.zeros((4, 4, 3), np.uint8))
    change_json(bundle / "report.json", pictures=pictures)
    lock_again(bundle)
    refused(bundle, "is not a report of this version")


def test_a_picture_that_was_added_is_not_shown(bundle, building):
    cv2.imwrite(str(bundle / "added.jpg"), np.zeros((4, 4, 3), np.uint8))
    change_json(bundle / "report.json", pictures=["output_pytorch.jpg", "added.jpg"])
    lock = json.loads((bundle / LOCK_FILE).read_text())["files"]
    change_json(bundle / LOCK_FILE, files={**lock, "report.json": file_digests(bundle)["report.json"]})
    assert refused(bundle, "not as it was made").why == "added.jpg was added"


@pytest.mark.parametrize("name", ["../../word", "/tmp/word", "a/b", "..", "", 3])
def test_a_backend_whose_name_leads_elsewhere_is_refused(bundle, building, name):
    backend = json.loads((bundle / "engine.json").read_text())["backend"]
    change_json(bundle / "engine.json", backend={**backend, "name": name})
    lock_again(bundle)
    refused(bundle, "does not describe an engine")


@pytest.mark.parametrize("trust_changes", [False, True])
def test_a_link_out_of_the_bundle_is_refused_wherever_it_is(bundle, building, tmp_path, trust_changes):
    (tmp_path / "secret").mkdir()
    for target in (tmp_path / "secret", tmp_path / "nothing"):
        (bundle / "link").symlink_to(target)
        with pytest.raises(CompileError, match="files of its own"):
            build_bundle(bundle, trust_changes=trust_changes)
        (bundle / "link").unlink()
    assert building == []


def test_numbers_of_the_program_that_lie_elsewhere_are_not_read(bundle, building):
    (bundle.parent / "secret.bin").write_bytes(bytes(1 << 20))
    model = onnx.load(bundle / "end2end.onnx")
    weights = next(one for one in model.graph.initializer if one.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../secret.bin")
    (bundle / "end2end.onnx").write_bytes(model.SerializeToString())
    lock_again(bundle)
    refused(bundle, "keeps numbers in other files")
    assert building == []


@pytest.mark.parametrize("name", ["config.yaml", "engine.json", "report.json", "end2end.onnx", "deploy.json"])
def test_a_file_that_was_changed_is_refused_and_not_carried_on_under_a_new_lock(bundle, building, name):
    with (bundle / name).open("ab") as file:
        file.write(b"\n")
    assert refused(bundle, "not as it was made").why == f"{name} was changed"


def test_changes_that_are_trusted_are_locked_from_then_on(bundle, building):
    change_json(bundle / "deploy.json", version="2")
    (bundle / LOCK_FILE).write_text("[]")
    build_bundle(bundle, trust_changes=True)
    lock = json.loads((bundle / LOCK_FILE).read_text())
    assert lock["files"] == file_digests(bundle, exclude=(LOCK_FILE,))
    assert lock["key"] == "", "what the bundle was made from is not known any more"


def test_what_was_added_is_carried_along_and_stays_unknown_to_the_lock(bundle, building):
    (bundle / "notes").mkdir()
    (bundle / "notes/mine.txt").write_text("mine")
    (bundle / "end2end.engine").write_bytes(b"of an earlier script, which told no lock")
    build_bundle(bundle)
    assert (bundle / "notes/mine.txt").read_text() == "mine"
    assert (bundle / "end2end.engine").read_bytes() == b"engine"
    assert file_digests(bundle).keys() - json.loads((bundle / LOCK_FILE).read_text())["files"].keys() == {
        LOCK_FILE,
        "notes/mine.txt",
    }


def test_a_bundle_behind_a_link_is_built_where_it_lies(bundle, building, tmp_path):
    (tmp_path / "link").symlink_to(bundle)
    outcome = build_bundle(tmp_path / "link")
    assert outcome.bundle == bundle
    assert (tmp_path / "link").is_symlink()
    assert Report.load(tmp_path / "link").engine_bytes == len(b"engine")


def lock_out(path):
    (path / "part").mkdir(parents=True)
    (path / "part").chmod(0)
    path.chmod(0)


STALE = {
    "a file": lambda path: path.write_text("stale"),
    "a link": lambda path: path.symlink_to(path.parent),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a folder": lambda path: (path / "deep").mkdir(parents=True),
    "a folder that is locked": lock_out,
}


@pytest.mark.parametrize("lay", STALE.values(), ids=STALE)
@pytest.mark.parametrize("suffix", ["partial", "old"])
def test_what_a_killed_run_left_beside_the_bundle_is_no_hindrance(bundle, building, lay, suffix):
    lay(bundle.with_name(f".bundle.{suffix}"))
    assert build_bundle(bundle).exit_code == ExitCode.PROVEN
    assert beside_locks(bundle.parent) == ["bundle"]
