"""A file that is replaced while it is read is an error, and never a result of something else."""

import os

import pytest

from compiler.artifact import InputFile, bytes_digest, file_digest
from compiler.errors import CompileError

CHANGED = "weights.pth changed while it was being read"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"first")
    return InputFile.of(path)


def test_a_file_is_its_content_and_not_where_it_lies(file, tmp_path):
    assert file.digest == file_digest(file.path) == bytes_digest(b"first")
    (tmp_path / "other").write_bytes(b"first")
    assert InputFile.of(tmp_path / "other") == file


def test_a_file_that_stays_is_read(file):
    with file.unchanged():
        os.utime(file.path, (1, 1))
        assert file.path.read_bytes() == b"first"


def test_a_file_of_the_same_content_in_its_place_is_the_same(file, tmp_path):
    with file.unchanged():
        (tmp_path / "new").write_bytes(b"first")
        (tmp_path / "new").replace(file.path)


def replaced(path):
    new = path.with_name("new")
    new.write_bytes(b"other")
    new.replace(path)


def written_over(path):
    path.write_bytes(b"other")


def truncated(path):
    path.write_bytes(b"fi")
    raise ValueError("truncated")


def removed(path):
    path.unlink()


@pytest.mark.parametrize("change", [replaced, written_over, truncated, removed])
def test_a_file_that_changes_is_an_error_whatever_came_of_reading_it(file, change):
    with pytest.raises(CompileError, match=CHANGED) as caught, file.unchanged():
        change(file.path)
    assert (caught.value.where, caught.value.fix) == (str(file.path), "run again")


def test_another_error_stays_what_it_is(file):
    with pytest.raises(ValueError, match="truncated"), file.unchanged():
        raise ValueError("truncated")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(CompileError, match=r"nothing.pth cannot be read"):
        InputFile.of(tmp_path / "nothing.pth")
