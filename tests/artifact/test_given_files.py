"""A file that somebody names is looked at before it is opened: what is no file, or too large, is said at once."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from compiler.artifact import read_given, require_file
from compiler.errors import CompileError


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**31)


THINGS = {
    "a pipe": (pipe, "is a pipe"),
    "a link to a device that never ends": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    "a link to a terminal's device": (lambda path: path.symlink_to("/dev/null"), "is a device"),
    "a socket": (unix_socket, "is a socket"),
    "a folder": (Path.mkdir, "is a folder"),
    "a link that leads nowhere": (lambda path: path.symlink_to("nowhere"), "does not exist"),
    "a link to itself": (lambda path: path.symlink_to(path), "cannot be read"),
    "nothing": (lambda path: None, "does not exist"),
    "an empty file": (Path.touch, "is empty"),
    "two GiB": (sparse, "is too large"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices are files on Unix")
@pytest.mark.parametrize("name", THINGS)
def test_what_is_no_file_to_read_is_said_and_never_waited_for(name, tmp_path, monkeypatch):
    make, expected = THINGS[name]
    monkeypatch.chdir(tmp_path)  # the name of a socket has to be short
    make(Path("x"))
    for look in (require_file, read_given):
        with pytest.raises(CompileError) as caught:
            look(Path("x"), "the image")
        assert caught.value.what == f"the image {expected}"
        assert caught.value.where == "x"


@pytest.mark.parametrize("path", ["nul\0character", "x" * 5000])
def test_a_name_that_the_system_refuses_is_said(path):
    with pytest.raises(CompileError, match="the image cannot be read"):
        read_given(Path(path), "the image")


def test_a_file_is_read_whole_up_to_the_bound(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert require_file(path, "it", largest=5) == 5
    assert read_given(path, "it", largest=5) == b"12345"
    with pytest.raises(CompileError, match="it is too large") as caught:
        read_given(path, "it", largest=4)
    assert caught.value.why == "the file has 5 bytes, and at most 4 are read"
