"""What every backend says where its library is not here, or is too old; of each that there is."""

from __future__ import annotations

import importlib.metadata
import re

import pytest
import yaml

from compiler.artifact import digests
from compiler.backends import build_backend
from compiler.backends.nvidia import backend as adapter
from compiler.config.search import config_folder, config_loader
from tests.conftest import REPOSITORY

NAMES = config_loader().get_group_options("backend")
EXTRAS = re.findall(r"^([a-z-]+) = \[", (REPOSITORY / "pyproject.toml").read_text(), flags=re.MULTILINE)


def problem_of(name: str) -> str:
    """Why a backend cannot be used, or cannot build, here."""
    probe = build_backend(yaml.safe_load((config_folder() / f"backend/{name}.yaml").read_text())).probe()
    return probe.problem or probe.build_problem


@pytest.fixture
def nothing_is_installed(monkeypatch, tmp_path):
    def refuse(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(digests, "version", refuse)
    monkeypatch.setattr(adapter.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("DEPLOY_COMPILER_RKNN_PYTHON", raising=False)


@pytest.mark.usefixtures("nothing_is_installed")
@pytest.mark.parametrize("name", NAMES)
def test_where_a_backend_is_not_installed_the_extra_is_named_that_installs_it(name: str):
    problem = problem_of(name)
    assert "is not installed" in problem
    if name == "rknn":
        assert "python -m compiler doctor --make rknn" in problem
    else:
        assert any(f"pip install 'deploy-compiler[{extra}]'" in problem for extra in EXTRAS)


@pytest.mark.parametrize("name", NAMES)
def test_where_a_backend_is_too_old_the_oldest_that_will_do_is_named(name: str, monkeypatch, tmp_path):
    monkeypatch.setattr(digests, "version", lambda distribution: "0.1.2")
    monkeypatch.setattr(adapter.importlib.util, "find_spec", lambda name: adapter)
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 0.1.2\n")
    python.chmod(0o755)
    monkeypatch.setenv("DEPLOY_COMPILER_RKNN_PYTHON", str(python))
    problem = problem_of(name)
    assert "0.1.2" in problem
    assert "is the oldest that will do" in problem
    assert "pip install --upgrade 'deploy-compiler[" in problem or "doctor --make rknn" in problem
