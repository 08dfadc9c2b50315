"""Compiling a bundle again from what it says of itself: with the files that it was made from, and none of its code."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compiler.artifact import LOCK_FILE, Lock, file_digest
from compiler.checkpoint import OFFICIAL
from compiler.config import compose
from compiler.errors import CompileError, ExitCode, UsageError
from compiler.pipeline.origins import CALIBRATION, Origins
from compiler.pipeline.reproduction import OF_A_RUN, reproduce_bundle
from compiler.report import Report
from compiler.runtime import read_config
from compiler.runtime.opening import Opening
from compiler.stages.package import config_yaml
from tests.bundles import lock_again, small_bundle
from tests.cli.running import run_verb


@pytest.fixture
def copied(doubled, tmp_path):
    """A bundle that may be changed, away from where it was made."""
    return Path(shutil.copytree(doubled, tmp_path / "moved"))


def change_config(bundle, **model):
    """Let the config of a bundle name other things, and its lock say that it always did."""
    config = read_config(bundle)
    (bundle / "config.yaml").write_text(config_yaml(replace(config, model=replace(config.model, **model))))
    lock_again(bundle)


def test_what_is_compiled_again_is_the_same_byte_by_byte(copied, tmp_path, capsys):
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    assert run_verb("reproduce", str(copied), f"output={tmp_path / 'again'}") == ExitCode.PROVEN
    printed = capsys.readouterr().out
    assert "cached" not in printed, "nothing of the first compile was used"
    assert "reproduced: every file is the same byte by byte" in printed
    (again,) = (path for path in (tmp_path / "again").iterdir() if path.is_dir())
    for name, content in before.items():
        if name not in (*OF_A_RUN, LOCK_FILE, "config.yaml"):
            assert (again / name).read_bytes() == content, name
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before
    assert not list((tmp_path / "again").glob(".reproducing-*"))


def test_what_is_other_is_named_and_ends_with_3(copied, tmp_path):
    content = (copied / "end2end.onnx").read_bytes()
    (copied / "end2end.onnx").write_bytes(content + b"\x42\x00")
    (copied / "notes.txt").write_text("of an earlier version")
    sidecar = json.loads((copied / "engine.json").read_text())
    (copied / "engine.json").write_text(json.dumps(sidecar | {"machine": {"onnxruntime": "0.1"}}))
    report = json.loads((copied / "report.json").read_text())
    report["versions"] |= {"numpy": "1.26.0"}
    (copied / "report.json").write_text(json.dumps(report))
    lock_again(copied)
    found = reproduce_bundle(copied, output=str(tmp_path / "again"))
    assert found.exit_code == ExitCode.NOT_PROVEN
    assert found.outcome.exit_code == ExitCode.PROVEN
    assert found.differing == {
        "end2end.onnx": f"is another, of {len(content)} bytes after {len(content) + 2}",
        "engine.json": "differs in machine.onnxruntime, machine.processor",
        "notes.txt": "is not there any more",
    }
    assert found.versions == {"numpy": ("1.26.0", np.__version__)}
    assert not found.made_from


@pytest.mark.parametrize("changed", [None, "end2end.onnx", "recorded.npz"])
def test_with_trusted_changes_the_files_are_read_and_not_the_lock(copied, tmp_path, monkeypatch, changed):
    again = Path(shutil.copytree(copied, tmp_path / "compiled"))
    made = Report.load(again).outcome(again)
    monkeypatch.setattr("compiler.pipeline.reproduction.compile_bundle", lambda config, listen: made)
    if changed:
        (copied / changed).write_bytes((copied / changed).read_bytes() + b" ")
    found = reproduce_bundle(copied, opening=Opening(trust_changes=True), output=str(tmp_path / "again"))
    assert json.loads(json.dumps(found.to_dict())).items() >= {"reproduced": not changed, "bundle": str(again)}.items()
    assert list(found.differing) == ([changed] if changed else [])
    assert found.exit_code == (ExitCode.NOT_PROVEN if changed else ExitCode.PROVEN)
    assert (changed in found.same) is False


def test_nothing_is_written_over(copied, tmp_path):
    (tmp_path / "again" / copied.name).mkdir(parents=True)
    name = read_config(copied).deploy_name
    (tmp_path / "again" / str(name)).mkdir(exist_ok=True)
    with pytest.raises(UsageError, match="is there already"):
        reproduce_bundle(copied, output=str(tmp_path / "again"))


def test_a_folder_that_is_no_bundle_or_was_changed_is_refused(copied, tmp_path):
    with pytest.raises(CompileError, match="is not a bundle"):
        reproduce_bundle(tmp_path)
    (copied / "deploy.json").write_text("{}")
    with pytest.raises(CompileError, match="not as it was made") as caught:
        reproduce_bundle(copied)
    assert caught.value.why == "deploy.json was added"


def test_code_that_a_bundle_names_is_run_where_the_user_says_so_alone(copied, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "strange.py").write_text("open('it_ran', 'w')\ndef build(): raise RuntimeError\n")
    change_config(copied, file=None, target="strange:build")
    with pytest.raises(CompileError, match="code of somebody's own, and is not run") as caught:
        reproduce_bundle(copied)
    assert "--network-code" in caught.value.fix
    change_config(copied, target="", network={"_target_": "strange.Network"})
    with pytest.raises(CompileError, match="neither ours nor registered"):
        reproduce_bundle(copied)
    assert not (tmp_path / "it_ran").exists()


CONFIG = compose(["model=rtmpose", "checkpoint=epoch_3.pth", "input=street.jpg"])


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Weights and a photograph where the bundle is, and what the lock says of them."""
    monkeypatch.chdir(tmp_path)
    for folder, name in (("bundles", "epoch_3.pth"), ("bundles", "street.jpg"), ("elsewhere", "weights.pth")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_bytes(name.encode())
    made_from = {key: file_digest(tmp_path / "bundles" / name) for key, name in
                 {"checkpoint": "epoch_3.pth", "input": "street.jpg"}.items()}  # fmt: skip
    return Origins(Lock("", {}, made_from), {}, (tmp_path / "bundles",))


def test_files_are_found_by_their_digests_wherever_they_lie(files, tmp_path):
    found = files.config(CONFIG)
    assert found.checkpoint == str(tmp_path / "bundles/epoch_3.pth")
    assert found.input == str(tmp_path / "bundles/street.jpg")
    (tmp_path / "epoch_3.pth").write_bytes(b"another of that name")  # where the config says
    assert files.config(CONFIG).checkpoint == str(tmp_path / "bundles/epoch_3.pth")
    shutil.copyfile(tmp_path / "bundles/epoch_3.pth", tmp_path / "mine.pth")
    assert replace(files, given={"checkpoint": "mine.pth"}).config(CONFIG).checkpoint == "mine.pth"


def test_weights_that_are_missing_or_others_are_named_with_their_digests(files, tmp_path):
    wanted = files.lock.made_from["checkpoint"][:16]
    with pytest.raises(CompileError, match="not what the bundle was made from") as caught:
        replace(files, given={"checkpoint": "elsewhere/weights.pth"}).config(CONFIG)
    assert wanted in caught.value.why
    assert file_digest(tmp_path / "elsewhere/weights.pth")[:16] in caught.value.why
    (tmp_path / "bundles/epoch_3.pth").unlink()
    with pytest.raises(CompileError, match="is not here: checkpoint") as caught:
        files.config(CONFIG)
    assert wanted in caught.value.why
    assert "checkpoint=<path>" in caught.value.fix
    with pytest.raises(CompileError, match="does not exist"):
        replace(files, given={"checkpoint": "nowhere.pth"}).config(CONFIG)


@pytest.mark.parametrize("named", ["/dev/zero", "/proc/kmsg", "/", "/dev/stdin", "nul\0byte", "a" * 5000])
def test_a_path_of_a_strangers_is_not_followed_to_what_has_no_end(files, named):
    with pytest.raises(CompileError, match="is not here: checkpoint"):
        files.config(replace(CONFIG, checkpoint=named))


def test_what_a_bundle_was_not_made_from_is_wrong_usage(files):
    with pytest.raises(UsageError, match="made without box"):
        replace(files, given={"box": "boxes.json"}).config(CONFIG)


def test_a_box_of_numbers_is_no_file_and_one_in_a_file_is(files, tmp_path):
    assert files.config(replace(CONFIG, box="1,2,30,40")).box == "1,2,30,40"
    (tmp_path / "bundles/boxes.json").write_text("[[1, 2, 30, 40]]")
    digests = {**files.lock.made_from, "box": file_digest(tmp_path / "bundles/boxes.json")}
    found = replace(files, lock=Lock("", {}, digests)).config(replace(CONFIG, box="gone/boxes.json"))
    assert found.box == str(tmp_path / "bundles/boxes.json")


def test_published_weights_are_downloaded_where_the_user_says_so_alone(files, tmp_path):
    official = replace(CONFIG, checkpoint=OFFICIAL)
    with pytest.raises(CompileError, match="is not here: checkpoint") as caught:
        files.config(official)
    assert f"to download it from {CONFIG.model.official.url}" in caught.value.fix
    assert replace(files, given={"checkpoint": OFFICIAL}).config(official).checkpoint == OFFICIAL
    downloaded = tmp_path / "bundles" / Path(CONFIG.model.official.url).name
    shutil.copyfile(tmp_path / "bundles/epoch_3.pth", downloaded)
    assert files.config(official).checkpoint == str(downloaded)


def test_what_int8_was_calibrated_on_has_to_be_given(files):
    config = replace(CONFIG, calibration=replace(CONFIG.calibration, data="photographs"))
    with pytest.raises(CompileError, match="is not here: calibration") as caught:
        files.config(config)
    assert "calibration=<path>" in caught.value.fix
    assert replace(files, given={CALIBRATION: "mine"}).config(config).calibration.data == "mine"


def test_a_bundle_of_before_needs_its_weights_by_name(files, tmp_path):
    old = Origins(Lock("", {}), {}, files.folders)
    with pytest.raises(CompileError, match="is not here: checkpoint") as caught:
        old.config(CONFIG)
    assert "earlier version" in caught.value.why
    given = {"checkpoint": "elsewhere/weights.pth", "input": "bundles/street.jpg"}
    assert replace(old, given=given).config(CONFIG).checkpoint == "elsewhere/weights.pth"


def test_a_lock_whose_origins_are_none_is_broken(tmp_path):
    bundle = small_bundle(tmp_path / "pose", "pose")
    lock = json.loads((bundle / LOCK_FILE).read_text())
    for odd in ([], {"checkpoint": 3}):
        (bundle / LOCK_FILE).write_text(json.dumps(lock | {"made_from": odd}))
        with pytest.raises(CompileError, match="not as it was made"):
            Lock.load(bundle)
