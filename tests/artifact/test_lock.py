"""The lock of a bundle: every file that is used is what it was, and all that are not are named at once."""

from __future__ import annotations

import json
import os

import pytest

from compiler.artifact import LOCK_FILE, Lock, file_digest, file_digests, lock_of, require_files, write_json
from compiler.artifact import lock as locks
from compiler.artifact.lock import require_unchanged
from compiler.errors import CompileError, ExitCode
from tests.unprivileged import run_unprivileged

WORDS = "the bundle is not as it was made"


@pytest.fixture
def bundle(tmp_path):
    """A folder of four files, one of them in a folder, and their lock."""
    folder = tmp_path / "bundle"
    (folder / "engine/weights").mkdir(parents=True)
    for name in ("engine.json", "config.yaml", "notes.txt", "engine/weights/data.bin"):
        (folder / name).write_text(name)
    write_json(folder / LOCK_FILE, {"version": 2, "key": "abc", "files": file_digests(folder)})
    return folder


def refused(bundle, *names, lock=None):
    """Return why files are refused."""
    with pytest.raises(CompileError, match=WORDS) as caught:
        require_files(bundle, names, lock or Lock.load(bundle))
    assert caught.value.where == str(bundle)
    assert "--trust-changes" in caught.value.fix
    assert "trust_changes=True" in caught.value.fix
    assert caught.value.exit_code == ExitCode.FAILED
    return caught.value.why


def test_a_bundle_as_it_was_made_is_taken(bundle):
    lock = lock_of(bundle, trust_changes=False)
    require_files(bundle, ("engine.json", "config.yaml", "engine"), lock)
    assert require_unchanged(bundle) == lock == Lock.load(bundle)
    assert lock.key == "abc"


def test_what_was_changed_added_and_is_missing_is_named_in_one_message(bundle):
    (bundle / "engine.json").write_text("engine.jsoN")
    (bundle / "added.bin").touch()
    (bundle / "config.yaml").unlink()
    why = refused(bundle, "engine.json", "notes.txt", "added.bin", "config.yaml")
    assert why == "engine.json was changed, added.bin was added, config.yaml is missing"


def test_a_file_that_is_not_used_does_not_count(bundle):
    (bundle / "notes.txt").write_text("others")
    (bundle / "predicted.json").touch()
    require_files(bundle, ("engine.json", "config.yaml"), Lock.load(bundle))


def test_of_a_folder_every_file_counts(bundle):
    (bundle / "engine/weights/more.bin").touch()
    assert refused(bundle, "engine") == "engine/weights/more.bin was added"
    (bundle / "engine/weights/more.bin").unlink()
    (bundle / "engine/weights/data.bin").unlink()
    assert refused(bundle, "engine") == "engine/weights/data.bin is missing"
    assert refused(bundle, "engine", "engine/weights/data.bin") == "engine/weights/data.bin is missing"


def test_a_file_in_the_place_of_a_folder_and_a_folder_in_that_of_a_file_are_told(bundle):
    (bundle / "config.yaml").unlink()
    (bundle / "config.yaml").mkdir()
    require_files(bundle, ("engine.json",), Lock.load(bundle))
    assert refused(bundle, "config.yaml") == "config.yaml is missing"


def test_a_link_out_of_the_bundle_is_refused_even_where_the_content_is_the_same(bundle, tmp_path):
    (bundle / "config.yaml").rename(tmp_path / "config.yaml")
    (bundle / "config.yaml").symlink_to("../config.yaml")
    for lock in (Lock.load(bundle), None):
        with pytest.raises(CompileError, match="files of its own"):
            require_files(bundle, ("config.yaml",), lock)


def test_no_more_is_read_than_what_is_used(bundle, monkeypatch):
    read = []
    monkeypatch.setattr(locks, "file_digest", lambda path: read.append(path.name) or file_digest(path))
    require_files(bundle, ("engine.json", "config.yaml", "engine.json"), Lock.load(bundle))
    assert read == ["engine.json", "config.yaml"], "each once"


def test_where_changes_are_trusted_files_have_only_to_be_there(bundle):
    (bundle / "engine.json").write_text("another")
    (bundle / LOCK_FILE).unlink()
    assert lock_of(bundle, trust_changes=True) is None
    require_files(bundle, ("engine.json",), None)
    with pytest.raises(CompileError, match=WORDS) as caught:
        require_files(bundle, ("nothing.bin",), None)
    assert caught.value.why == "nothing.bin is missing"
    assert "trust" not in caught.value.fix


UNREADABLE = """
import sys
from pathlib import Path
from compiler.artifact import Lock, lock_of, require_files
from compiler.errors import CompileError

bundle = Path(sys.argv[1])
lock = Lock.load(bundle)
for lay, close in ((bundle / "engine.json", 0), (bundle / "engine/weights", 0), (bundle, 0)):
    lay.chmod(close)
    try:
        require_files(bundle, ("config.yaml", "engine.json", "engine"), lock)
    except CompileError as error:
        print(error.what, error.why, sep=": ")
try:
    lock_of(bundle, trust_changes=True)
except CompileError as error:
    print(error.what, error.why, sep=": ")
bundle.chmod(0o755)
(bundle / "engine/weights").chmod(0o755)
"""


def test_what_may_not_be_read_is_one_message(bundle):
    run = run_unprivileged(UNREADABLE, bundle)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines() == [
        "engine.json cannot be read: Permission denied",
        "the folder cannot be read: Permission denied",
        "config.yaml cannot be read: Permission denied",
        "the bundle cannot be read: Permission denied",
    ]


DIGEST = "0" * 64
BROKEN = {
    "empty": "",
    "half": '{"key": "abc", "fi',
    "a list": "[]",
    "a number": "3",
    "null": "null",
    "deep": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "not text": "\udcff",
    "no files": json.dumps({"key": "abc"}),
    "no key": json.dumps({"files": {}}),
    "files as a list": json.dumps({"key": "abc", "files": ["a"]}),
    "a digest as a number": json.dumps({"key": "abc", "files": {"a": 3}}),
    "a key as a number": json.dumps({"key": 3, "files": {}}),
    "a name that leads out": json.dumps({"key": "abc", "files": {"../a": DIGEST}}),
    "too many names": json.dumps({"key": "abc", "files": {f"a{number}": DIGEST for number in range(10_001)}}),
    "a deep name": json.dumps({"key": "abc", "files": {"a/" * 20 + "a": DIGEST}}),
    "a later version": json.dumps({"version": 3, "key": "abc", "files": {}}),
    "a version as a list": json.dumps({"version": [], "key": "abc", "files": {}}),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_lock_is_refused_in_the_same_words(bundle, content):
    (bundle / LOCK_FILE).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(CompileError, match=WORDS) as caught:
        lock_of(bundle, trust_changes=False)
    assert caught.value.why.startswith("lock.json is broken: ")
    assert "\n" not in caught.value.why
    assert "--trust-changes" in caught.value.fix


def test_a_missing_lock_is_refused_in_the_same_words(bundle):
    (bundle / LOCK_FILE).unlink()
    with pytest.raises(CompileError, match=WORDS) as caught:
        lock_of(bundle, trust_changes=False)
    assert caught.value.why == "lock.json is missing"


def test_a_lock_of_the_first_layout_is_read(bundle):
    content = json.loads((bundle / LOCK_FILE).read_text())
    del content["version"]
    write_json(bundle / LOCK_FILE, content)
    assert require_unchanged(bundle).files == content["files"]


@pytest.mark.parametrize("trust_changes", [False, True])
def test_a_folder_of_something_else_is_no_bundle(tmp_path, trust_changes):
    (tmp_path / "photo.jpg").touch()
    for folder in (tmp_path, tmp_path / "nowhere", tmp_path / "photo.jpg"):
        with pytest.raises(CompileError, match="is not a bundle"):
            lock_of(folder, trust_changes)


def test_a_whole_bundle_has_no_file_more_either(bundle):
    (bundle / "notes.txt").write_text("others")
    (bundle / "stray.txt").touch()
    with pytest.raises(CompileError, match=WORDS) as caught:
        require_unchanged(bundle)
    assert caught.value.why == "notes.txt was changed, stray.txt was added"


def test_a_lock_that_is_a_pipe_makes_nobody_wait(bundle):
    (bundle / LOCK_FILE).unlink()
    os.mkfifo(bundle / LOCK_FILE)
    with pytest.raises(CompileError, match="files of its own"):
        lock_of(bundle, trust_changes=False)


def test_a_lock_of_as_many_files_as_a_bundle_may_have_is_read(bundle):
    files = {f"{'a/' * 19}{number}": DIGEST for number in range(10_000)}
    write_json(bundle / LOCK_FILE, {"version": 2, "key": "abc", "files": files})
    assert lock_of(bundle, trust_changes=False).files == files
