"""Names from a stranger: they lead into their folder, through no link out of it, and to no pipe."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.artifact import files_in, inside, located
from compiler.errors import CompileError

PLAIN = [
    "end2end.onnx",
    "a/b/c.bin",
    ".hidden",
    "größe.bin",
    "two words.txt",
    "console.txt",
    "x" * 255,
    "a.b.c",
    "/".join("x" * 20),
]
NOT_PLAIN = [
    *("", ".", "..", "...", "../x", "a/../b", "a/./b", "a//b", "a/", "/", "/etc/passwd", "//host/share"),
    *(
        "C:x",
        "C:\\x",
        "a\\b",
        "\\\\host\\share",
        "..\\x",
        "a:stream",
        "nul",
        "NUL.txt",
        "a/CON",
        "com1",
        "a.",
        "a ",
        "a/.. /b",
    ),
    *("a\0b", "a\nb", "a\x1bb", "\ud800", "x" * 256, "ü" * 128, "/".join(["x" * 200] * 6), "/".join("x" * 21)),
    *(None, 3, True, b"a", ["a"], {"a": 1}),
]


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_name_is_taken_as_it_is(tmp_path, name):
    assert inside(name) == name
    assert located(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_is_no_plain_name_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="is not a file in the folder"):
        inside(name)
    with pytest.raises(CompileError, match="files of its own") as caught:
        located(tmp_path, name)
    assert "\n" not in caught.value.why


@given(st.text(max_size=20) | st.text(alphabet="./\\ :aC", max_size=12))
def test_no_name_that_is_taken_leads_out_on_any_system(name):
    try:
        inside(name)
    except ValueError:
        return
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        assert not path.is_absolute()
        assert not path.anchor
        assert ".." not in path.parts
    assert os.path.normpath(name) == name


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with a file in it, and a secret beside it."""
    (tmp_path / "bundle/part").mkdir(parents=True)
    (tmp_path / "bundle/part/own.txt").write_text("own")
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "bundle"


LINKS = {
    "relative": "../secret.txt",
    "absolute": "{parent}/secret.txt",
    "to a folder": "..",
    "dangling": "../nothing",
    "through a link": "part/up/secret.txt",
}


@pytest.mark.parametrize("target", LINKS.values(), ids=LINKS)
def test_a_link_out_of_the_folder_is_refused_and_not_read(folder, target):
    (folder / "part/up").symlink_to("../..")
    (folder / "link").symlink_to(target.format(parent=folder.parent))
    with pytest.raises(CompileError, match="files of its own") as caught:
        located(folder, "link")
    assert caught.value.where == str(folder / "link")
    assert str(folder.parent) in caught.value.why
    with pytest.raises(CompileError, match="files of its own"):
        files_in(folder)


def test_a_name_behind_a_link_out_of_the_folder_is_refused(folder):
    (folder / "up").symlink_to("..")
    with pytest.raises(CompileError, match="files of its own"):
        located(folder, "up/secret.txt")


def test_a_link_within_the_folder_is_followed(folder):
    (folder / "link.txt").symlink_to("part/own.txt")
    (folder / "round").symlink_to("part")
    assert located(folder, "link.txt").read_text() == "own"
    assert list(files_in(folder)) == ["link.txt", "part/own.txt"]


def test_links_in_a_circle_end(folder):
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    (folder / "part/self").symlink_to("../part")
    assert list(files_in(folder)) == ["part/own.txt"]


def test_the_folder_itself_may_be_a_link(folder, tmp_path):
    (tmp_path / "elsewhere").symlink_to(folder)
    assert located(tmp_path / "elsewhere", "part/own.txt").read_text() == "own"
    assert list(files_in(tmp_path / "elsewhere")) == ["part/own.txt"]


def test_a_pipe_is_refused_before_anybody_waits_for_it(folder):
    os.mkfifo(folder / "config.yaml")
    with pytest.raises(CompileError, match="files of its own") as caught:
        located(folder, "config.yaml")
    assert caught.value.why == "it is neither a file nor a folder"
    with pytest.raises(CompileError, match="files of its own"):
        files_in(folder)


def test_what_is_not_there_is_located_all_the_same(folder):
    assert located(folder, "part/nothing.bin") == folder / "part/nothing.bin"
