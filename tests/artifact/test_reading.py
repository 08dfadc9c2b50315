"""What a library raises over a file, as one error about the file."""

import errno
import json

import pytest

from compiler.artifact import reading
from compiler.errors import CompileError, Interrupted, UsageError, as_compile_error


def undecodable():
    return b"abc\xff".decode("utf-8")


def nested():
    return json.loads("[" * 100_000)


def locked():
    raise PermissionError(errno.EACCES, "Permission denied", "a.json")


def damaged():
    raise RuntimeError("shape '[3]' is invalid\n  for input of size 2" + "!" * 1000)


def wordless():
    raise IndexError


@pytest.mark.parametrize(
    ("fail", "why"),
    [
        (undecodable, "it is not text in utf-8, from its byte 3 on"),
        (nested, "it is nested too deeply"),
        (locked, "Permission denied"),
        (damaged, "RuntimeError: shape '[3]' is invalid for input of size 2!!"),
        (wordless, "IndexError"),
    ],
)
def test_whatever_is_raised_is_one_error_with_the_file_and_the_reason(fail, why):
    with pytest.raises(CompileError) as caught, reading("a.json", "a.json cannot be read", fix="write it again"):
        fail()
    error = caught.value
    assert (error.what, error.where, error.fix) == ("a.json cannot be read", "a.json", "write it again")
    assert error.why.startswith(why)
    assert len(error.why) < 400
    assert "\n" not in error.why
    assert as_compile_error(error) is error


def test_a_place_may_be_named_as_the_user_named_it():
    with pytest.raises(CompileError) as caught, reading("a.json", "it cannot be read", where="model.file=a.json"):
        wordless()
    assert caught.value.where == "model.file=a.json"


def test_an_error_of_ours_goes_through_as_it_is():
    ours = UsageError("there is no such key")
    with pytest.raises(UsageError) as caught, reading("a.json", "a.json cannot be read"):
        raise ours
    assert caught.value is ours


@pytest.mark.parametrize("kind", [Interrupted, KeyboardInterrupt, ModuleNotFoundError])
def test_what_is_no_fault_of_the_file_goes_through(kind):
    with pytest.raises(kind), reading("a.json", "a.json cannot be read"):
        raise kind


def test_what_is_raised_elsewhere_is_still_a_defect():
    with reading("a.json", "a.json cannot be read"):
        pass
    assert "a defect in the compiler" in as_compile_error(KeyError("x")).fix
