"""Which versions of a library open an engine."""

import pytest

from compiler.artifact import Engine
from compiler.backends.nvidia.details import check_version
from compiler.errors import CompileError


@pytest.fixture
def engine(tmp_path):
    return Engine(tmp_path, ("end2end.engine",), {}, (), ())


def details(version: str, *, compatible: bool = False) -> dict:
    return {"library": "tensorrt", "version": version, "version_compatible": compatible}


def test_the_version_that_built_it_opens_it(engine):
    check_version(engine, details("11.4.0.106"), "tensorrt", "11.4.0.106")


def test_a_repackaged_release_is_the_same_version(engine):
    check_version(engine, details("10.14.1.48"), "tensorrt", "10.14.1.48.post1")


@pytest.mark.parametrize("installed", ["11.4.1.10", "11.3.0.99", "10.4.0.106"])
def test_another_version_does_not(engine, installed):
    with pytest.raises(CompileError) as caught:
        check_version(engine, details("11.4.0.106"), "tensorrt", installed)
    assert "tensorrt 11.4.0.106" in caught.value.what
    assert f"tensorrt {installed}" in caught.value.what


def test_the_other_library_does_not(engine):
    with pytest.raises(CompileError, match="cannot be opened by tensorrt_rtx"):
        check_version(engine, details("11.4.0.106"), "tensorrt_rtx", "11.4.0.106")


def test_a_version_compatible_engine_opens_in_later_versions_of_its_release(engine):
    check_version(engine, details("11.3.0.99", compatible=True), "tensorrt", "11.4.0.106")


@pytest.mark.parametrize("installed", ["11.2.1.2", "12.0.0.1"])
def test_a_version_compatible_engine_opens_neither_in_earlier_ones_nor_in_another_release(engine, installed):
    with pytest.raises(CompileError):
        check_version(engine, details("11.3.0.99", compatible=True), "tensorrt", installed)
