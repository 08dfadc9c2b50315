"""A library is there and new enough, or it is said which extra installs it."""

import pytest

from compiler.backends import libraries
from compiler.backends.libraries import library_problem


@pytest.fixture
def installed(monkeypatch):
    return lambda version: monkeypatch.setattr(libraries, "installed_version", lambda name: version)


@pytest.mark.parametrize("version", ["2.9", "2.9.0", "2.13.0+cpu", "3.0", "2.10.0rc1"])
def test_a_version_as_old_as_the_oldest_or_newer_will_do(installed, version):
    installed(version)
    assert library_problem("torch", "torch", "2.9") == ""


@pytest.mark.parametrize("version", ["2.8.1", "1.13", "2"])
def test_an_older_one_is_named_with_what_renews_it(installed, version):
    installed(version)
    problem = library_problem("torch", "torch", "2.9")
    assert problem.startswith(f"torch {version} is installed, and 2.9 is the oldest that will do")
    assert "'deploy-compiler[torch]'" in problem


@pytest.mark.parametrize(
    ("version", "said"), [("9.9", ""), ("10.0b1", "coremltools 10.0b1 is installed, and it has to be")]
)
def test_a_version_that_is_too_new_is_named_where_that_is_known(installed, version, said):
    installed(version)
    problem = library_problem("coremltools", "coreml", "9.0", "10")
    assert problem.startswith(said)
    assert bool(problem) == bool(said)


def test_one_that_is_not_there_is_named_with_its_extra(installed):
    installed("")
    assert library_problem("coremltools", "coreml", "9.0") == (
        "coremltools is not installed: pip install 'deploy-compiler[coreml]'"
    )
