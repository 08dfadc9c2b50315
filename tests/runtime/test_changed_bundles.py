"""A bundle that is not what was made is not opened, unless whoever opens it says that the changes are theirs."""

from __future__ import annotations

import json

import onnx
import pytest

from compiler import runtime
from compiler.artifact import LOCK_FILE, file_digest
from compiler.artifact import lock as locks
from compiler.errors import CompileError
from compiler.runtime.text_spotting import open_spotter
from tests.bundles import change_json, lock_again, small_bundle

WORDS = "the bundle is not as it was made"
USED = ("config.yaml", "engine.json", "end2end.onnx")


@pytest.fixture
def pose(tmp_path):
    return small_bundle(tmp_path / "pose", "pose")


def edit(bundle, name):
    """Change a file so that it can still be used."""
    path = bundle / name
    if path.suffix == ".onnx":
        model = onnx.load(path)
        model.doc_string = "edited"
        onnx.save(model, path)
    else:
        path.write_text(path.read_text() + "\n")


def predicts(predictor):
    return predictor(predictor.task.sample_source())


def refused(bundle, match=WORDS, **how):
    with pytest.raises(CompileError, match=match) as caught:
        runtime.open(bundle, **how)
    return caught.value


def test_a_bundle_as_it_was_made_opens(pose):
    assert predicts(runtime.open(pose))


@pytest.mark.parametrize("name", USED)
def test_a_changed_file_that_is_used_is_named(pose, name):
    edit(pose, name)
    error = refused(pose)
    assert error.why == f"{name} was changed"
    assert error.where == str(pose)
    assert predicts(runtime.open(pose, trust_changes=True))


@pytest.mark.parametrize("name", ["report.json", "deploy.json", "pipeline.json"])
def test_a_changed_file_that_is_not_used_does_not_count(pose, name):
    edit(pose, name)
    assert predicts(runtime.open(pose))


def test_a_missing_engine_is_named(pose):
    (pose / "end2end.onnx").unlink()
    assert refused(pose).why == "end2end.onnx is missing"
    assert refused(pose, trust_changes=True).why == "end2end.onnx is missing"


def test_an_engine_that_was_added_is_named(pose):
    (pose / "end2end.onnx").rename(pose / "other.onnx")
    change_json(pose / "engine.json", file="other.onnx")
    lock = json.loads((pose / LOCK_FILE).read_text())["files"]
    change_json(pose / LOCK_FILE, files={**lock, "engine.json": file_digest(pose / "engine.json")})
    assert refused(pose).why == "other.onnx was added"
    assert predicts(runtime.open(pose, trust_changes=True))


@pytest.mark.parametrize("content", [None, "[]", "3", "[" * 100_000])
def test_without_a_lock_that_can_be_read_it_is_the_same_message(pose, content):
    (pose / LOCK_FILE).unlink()
    if content is not None:
        (pose / LOCK_FILE).write_text(content)
    assert refused(pose).why.startswith(f"{LOCK_FILE} is ")
    assert predicts(runtime.open(pose, trust_changes=True))


@pytest.mark.parametrize(
    ("name", "trust_changes"), [*((name, trust) for name in USED for trust in (False, True)), (LOCK_FILE, False)]
)
def test_a_link_out_of_the_bundle_is_never_followed(pose, name, trust_changes):
    outside = pose.parent / name
    (pose / name).rename(outside)
    (pose / name).symlink_to(outside)
    assert refused(pose, "files of its own", trust_changes=trust_changes).where == str(pose / name)


@pytest.mark.parametrize("file", ["../outside.onnx", "{parent}/outside.onnx", "./end2end.onnx", "a\0b", "", "x" * 300])
def test_a_name_out_of_the_bundle_is_never_followed(pose, file):
    (pose / "end2end.onnx").rename(pose.parent / "outside.onnx")
    change_json(pose / "engine.json", file=file.format(parent=pose.parent))
    lock_again(pose)
    for trust_changes in (False, True):
        refused(pose, "does not describe an engine", trust_changes=trust_changes)


def test_numbers_of_the_engine_that_lie_elsewhere_are_not_read(pose):
    (pose.parent / "secret.bin").write_bytes(bytes(1 << 20))
    model = onnx.load(pose / "end2end.onnx")
    weights = next(one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT and one.dims)
    weights.ClearField("raw_data")
    weights.ClearField("float_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../secret.bin")
    (pose / "end2end.onnx").write_bytes(model.SerializeToString())
    lock_again(pose)
    refused(pose, "keeps numbers in other files")


def test_what_is_read_is_hashed_once_and_nothing_else_is(pose, monkeypatch):
    read = []
    monkeypatch.setattr(locks, "file_digest", lambda path: read.append(path.name) or file_digest(path))
    runtime.open(pose)
    assert read == list(USED)
    read.clear()
    runtime.open(pose, trust_changes=True)
    assert read == []


def test_an_engine_that_is_still_to_be_built_is_said_to_be(tmp_path):
    bundle = small_bundle(tmp_path / "later", "tensorrt")
    error = refused(bundle, r"end2end\.engine is still to be built")
    assert f"python -m compiler build {bundle}" in error.fix


def test_of_two_bundles_that_read_text_both_are_checked(tmp_path):
    text, reader = small_bundle(tmp_path / "text", "text"), small_bundle(tmp_path / "reader", "reader")
    assert open_spotter(text, reader)
    edit(reader, "engine.json")
    with pytest.raises(CompileError, match=WORDS) as caught:
        open_spotter(text, reader)
    assert caught.value.where == str(reader)
    assert open_spotter(text, reader, trust_changes=True)
