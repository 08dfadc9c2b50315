"""Digests, files that are there whole or not at all, folders that are swapped."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

import compiler.artifact.folders
from compiler.artifact import (
    digest,
    file_digest,
    read_json,
    recover_folder,
    replace_folder,
    retired,
    source_digest,
    write_json,
    write_text,
    written_whole,
)
from compiler.errors import CompileError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def reordered(value):
    """Return an equal value with the keys of every mapping in the opposite order."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@given(values)
def test_a_digest_does_not_depend_on_the_order_of_keys(value):
    assert digest(reordered(value)) == digest(value)


@given(values, values)
def test_values_that_are_written_differently_have_different_digests(first, second):
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (digest(first) == digest(second)) is same


def test_the_order_of_a_list_counts():
    assert digest([1, 2]) != digest([2, 1])


def test_a_path_in_a_value_counts_as_its_text():
    assert digest({"path": Path("a/b")}) == digest({"path": "a/b"}) != digest({"path": "a/c"})


@given(st.binary(max_size=5000))
def test_a_files_digest_is_its_sha256(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "file"
    path.write_bytes(content)
    assert file_digest(path) == hashlib.sha256(content).hexdigest()


def test_a_large_file_is_digested_in_blocks(tmp_path):
    content = bytes(range(256)) * 12_289  # a little over three blocks of 1 MiB
    (tmp_path / "file").write_bytes(content)
    assert file_digest(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_the_source_of_a_tool_is_all_of_its_files_but_what_python_compiles(tmp_path):
    (tmp_path / "tool/part/__pycache__").mkdir(parents=True)
    (tmp_path / "tool/part/code.py").write_text("x = 1\n")
    (tmp_path / "tool/part/table.yaml").write_text("y: 1\n")
    before = source_digest([tmp_path / "tool"])
    (tmp_path / "tool/part/__pycache__/code.pyc").write_text("compiled\n")
    assert source_digest([tmp_path / "tool"]) == before
    for name in ("code.py", "table.yaml"):
        (tmp_path / "tool/part" / name).write_text("another\n")
        changed = source_digest([tmp_path / "tool"])
        assert changed != before
        before = changed
    (tmp_path / "tool/part/code.py").rename(tmp_path / "tool/code.py")
    assert source_digest([tmp_path / "tool"]) != before


def test_a_file_is_written_and_written_over(tmp_path):
    path = tmp_path / "notes.txt"
    write_text(path, "größer\n")
    write_text(path, "kleiner\n")
    assert path.read_text(encoding="utf-8") == "kleiner\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path):
    path = tmp_path / "notes.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_whoever_looks_never_sees_half_a_file(tmp_path):
    path = tmp_path / "notes.txt"
    code = (
        "import sys; from pathlib import Path; from compiler.artifact import write_text\n"
        "while True:\n    for letter in 'ab': write_text(Path(sys.argv[1]), letter * 300_000)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
    try:
        wait_for(path.exists)
        seen = {path.read_text() for _ in range(300)}
    finally:
        writer.kill()
        writer.wait()
    assert seen <= {"a" * 300_000, "b" * 300_000}


def test_json_is_read_as_it_was_written(tmp_path):
    value = {"größe": [1, 2.5, None], "path": "a/b"}
    write_json(tmp_path / "value.json", value)
    assert read_json(tmp_path / "value.json") == value


@pytest.mark.parametrize("content", [None, b"", b"{", b"{'a': 1}", b"\xff\xfe"])
def test_what_is_no_json_is_refused_with_its_place(tmp_path, content):
    path = tmp_path / "deploy.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CompileError, match=r"deploy\.json (cannot be read|does not exist|is empty)") as caught:
        read_json(path)
    assert caught.value.where == str(path)
    assert caught.value.why
    assert caught.value.fix


@pytest.fixture(params=["in one step", "in two renames"])
def exchange(request, monkeypatch):
    """Swap folders as Linux does, and as systems do that cannot."""
    if request.param == "in two renames":
        monkeypatch.setattr(compiler.artifact.folders, "_exchange", lambda first, second: False)
    elif not sys.platform.startswith("linux"):
        pytest.skip("only Linux swaps two folders in one step")


def folder_with(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "file").write_text(content)
    return path


@pytest.mark.usefixtures("exchange")
def test_a_new_folder_takes_the_place_of_the_old_one(tmp_path):
    final = folder_with(tmp_path / "bundle", "old")
    (final / "only in the old one").touch()
    replace_folder(folder_with(tmp_path / "new", "new"), final)
    assert {path.name: path.read_text() for path in final.iterdir()} == {"file": "new"}
    assert list(tmp_path.iterdir()) == [final]


@pytest.mark.usefixtures("exchange")
def test_the_first_folder_needs_no_old_one(tmp_path):
    replace_folder(folder_with(tmp_path / "new", "new"), tmp_path / "bundle")
    assert (tmp_path / "bundle/file").read_text() == "new"
    assert list(tmp_path.iterdir()) == [tmp_path / "bundle"]


@pytest.mark.usefixtures("exchange")
def test_what_a_killed_run_left_aside_is_cleared_away(tmp_path):
    final = folder_with(tmp_path / "bundle", "old")
    folder_with(retired(final), "older")
    replace_folder(folder_with(tmp_path / "new", "new"), final)
    assert (final / "file").read_text() == "new"
    assert list(tmp_path.iterdir()) == [final]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux swaps two folders in one step")
def test_on_linux_the_folder_is_never_away(tmp_path):
    final = folder_with(tmp_path / "bundle", "0")
    code = (
        "import sys; from pathlib import Path; final = Path(sys.argv[1])\n"
        "print(flush=True)\n"
        "while True: assert final.is_dir()"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(final)], stdout=subprocess.PIPE) as reader:
        reader.stdout.readline()
        for number in range(1, 101):
            replace_folder(folder_with(tmp_path / "new", str(number)), final)
        still_reading = reader.poll() is None
        reader.kill()
    assert still_reading
    assert (final / "file").read_text() == "100"


def test_a_kill_between_two_renames_is_recovered_from(tmp_path):
    final = folder_with(tmp_path / "bundle", "old")
    new = folder_with(tmp_path / "new", "new")
    code = """
import os, signal, sys
from pathlib import Path
import compiler.artifact.folders
compiler.artifact.folders._exchange = lambda first, second: False
rename = Path.rename
def rename_and_die(path, target):
    rename(path, target)
    os.kill(os.getpid(), signal.SIGKILL)
Path.rename = rename_and_die
compiler.artifact.folders.replace_folder(Path(sys.argv[1]), Path(sys.argv[2]))
"""
    killed = subprocess.run([sys.executable, "-c", code, str(new), str(final)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not final.exists()
    recover_folder(final)
    assert (final / "file").read_text() == "old"
    assert not retired(final).exists()


def test_recovering_leaves_a_folder_that_is_there_alone(tmp_path):
    final = folder_with(tmp_path / "bundle", "new")
    folder_with(retired(final), "old")
    recover_folder(final)
    assert (final / "file").read_text() == "new"


def test_the_folder_may_be_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(folder_with(tmp_path / "bundle", "new"))
    assert retired(Path()) == retired(tmp_path / "bundle")


def test_recovering_what_never_was_does_nothing(tmp_path):
    recover_folder(tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def wait_for(condition, seconds: float = 20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.01)


def test_the_partial_file_of_a_write_has_a_name_of_its_process(tmp_path):
    with written_whole(tmp_path / "notes.txt") as partial:
        partial.touch()
    assert partial.name.startswith(f".notes.txt.{os.getpid()}.")
    assert partial.suffix == ".partial"


def test_two_threads_may_write_the_same_file_at_once(tmp_path):
    path, both_wrote = tmp_path / "notes.txt", Barrier(2, timeout=20)

    def write(text):
        with written_whole(path) as partial:
            partial.write_text(text)
            both_wrote.wait()
            return partial.read_text()

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(write, ["first", "second"])) == ["first", "second"]
    assert path.read_text() in ("first", "second")
    assert list(tmp_path.iterdir()) == [path]


def test_a_json_file_of_ours_is_not_read_where_it_is_huge(tmp_path):
    path = tmp_path / "engine.json"
    with path.open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    with pytest.raises(CompileError, match="is too large"):
        read_json(path)
    path.write_text("{}")
    assert read_json(path) == {}
