"""Folders are removed, copied and replaced whatever their modes are and whatever stands in the way."""

from __future__ import annotations

import os
import stat

import pytest

import compiler.artifact.folders
from compiler.artifact import copy_files, files_in, recover_folder, remove, replace_folder, retired
from tests.unprivileged import read_only, run_unprivileged


def folder_with(path, content):
    path.mkdir(parents=True)
    (path / "file").write_text(content)
    return path


def nothing(path):
    """Nothing stands there."""


def a_file(path):
    path.write_text("a file")


def a_folder(path):
    folder_with(path / "deep", "older")


def a_link_to_a_folder(path):
    path.symlink_to(folder_with(path.parent / "kept", "kept"))


def a_link_to_nothing(path):
    path.symlink_to("nowhere")


def a_link_to_itself(path):
    path.symlink_to(path.name)


KINDS = [nothing, a_file, a_folder, a_link_to_a_folder, a_link_to_nothing, a_link_to_itself]


@pytest.mark.parametrize("lay", KINDS)
def test_whatever_lies_there_is_removed_and_what_a_link_leads_to_stays(tmp_path, lay):
    lay(tmp_path / "it")
    remove(tmp_path / "it")
    assert not os.path.lexists(tmp_path / "it")
    assert lay is not a_link_to_a_folder or (tmp_path / "kept/file").read_text() == "kept"


def test_a_copy_may_be_changed_where_the_original_may_not(tmp_path):
    original = folder_with(tmp_path / "original/part", "content").parent
    (original / "file").write_text("other content")
    read_only(original)
    copy_files(files_in(original), tmp_path / "copy")
    assert {name: path.read_text() for name, path in files_in(tmp_path / "copy").items()} == {
        "file": "other content",
        "part/file": "content",
    }
    assert all(path.stat().st_mode & stat.S_IWUSR for path in (tmp_path / "copy").rglob("*"))
    remove(original)


@pytest.fixture(params=["in one step", "in two renames"])
def exchange(request, monkeypatch):
    if request.param == "in two renames":
        monkeypatch.setattr(compiler.artifact.folders, "_exchange", lambda first, second: False)


@pytest.mark.usefixtures("exchange")
@pytest.mark.parametrize("aside", KINDS)
@pytest.mark.parametrize("lay", KINDS)
def test_a_folder_takes_the_place_of_whatever_stands_there(tmp_path, lay, aside):
    (tmp_path / "place").mkdir()
    final = tmp_path / "place/bundle"
    lay(final)
    if aside is not lay or aside is not a_link_to_a_folder:
        aside(retired(final))
    replace_folder(folder_with(tmp_path / "place/new", "new"), final)
    assert (final / "file").read_text() == "new"
    assert not final.is_symlink()
    assert {path.name for path in (tmp_path / "place").iterdir()} <= {"bundle", "kept"}


@pytest.mark.parametrize("lay", KINDS)
def test_only_a_folder_is_brought_back_and_only_where_nothing_is(tmp_path, lay):
    final = tmp_path / "bundle"
    lay(retired(final))
    recover_folder(final)
    assert final.is_dir() is (lay is a_folder)
    (tmp_path / "link").symlink_to("nowhere")
    folder_with(retired(tmp_path / "link"), "old")
    recover_folder(tmp_path / "link")
    assert (tmp_path / "link").readlink().name == "nowhere"


UNPRIVILEGED = """
import sys
from pathlib import Path
from compiler.artifact import remove, replace_folder, recover_folder, retired

folder = Path(sys.argv[1])
try:
    (folder / "locked/part/file").write_text("x")
except PermissionError:
    remove(folder / "locked")
replace_folder(folder / "new", folder / "bundle")
"""


def test_what_is_read_only_is_removed_and_replaced_by_who_owns_it(tmp_path):
    locked = folder_with(tmp_path / "locked/part", "locked").parent
    bundle = folder_with(tmp_path / "bundle/part", "old").parent
    read_only(locked, bundle, folder_with(retired(bundle), "older"))
    folder_with(tmp_path / "new", "new")
    run = run_unprivileged(UNPRIVILEGED, tmp_path)
    assert run.returncode == 0, run.stderr
    assert not locked.exists(), "modes held in that process: without it nothing would have been proven"
    assert (bundle / "file").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle"]


RECOVERING = """
import sys
from pathlib import Path
from compiler.artifact import recover_folder

recover_folder(Path(sys.argv[1]))
"""


def test_who_may_only_read_brings_nothing_back_and_hears_no_traceback(tmp_path):
    place = folder_with(retired(tmp_path / "place/bundle"), "old").parent
    read_only(place)
    run = run_unprivileged(RECOVERING, place / "bundle")
    assert (run.returncode, run.stderr) == (0, "")
    assert not (place / "bundle").exists()
    place.chmod(0o755)
    remove(place)
