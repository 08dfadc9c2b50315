"""What the tests share: the command line as a user runs it, and one compiled bundle."""

from __future__ import annotations

import copy
import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

# How fast a machine is says nothing about an example; and what fails, fails again.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

REPOSITORY = Path(__file__).parents[1]
PHOTOGRAPH = REPOSITORY / "compiler/tasks/photographs/grace_hopper.jpg"
NAME = "pose-detection_simcc_onnxruntime_dynamic_256x192"


@dataclass(frozen=True)
class CommandLine:
    """Runs `python -m compiler` as a user does, in a folder of its own."""

    folder: Path

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments), cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def start_with_input(self, *arguments: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(*arguments), cwd=self.folder, stdin=pipe, stdout=pipe, text=True)

    @staticmethod
    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "compiler", *arguments]


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stage cache for all tests and the processes that run them, so that each network is exported once."""
    folder = tmp_path_factory.getbasetemp()
    return (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "cache"


@pytest.fixture(autouse=True)
def seeded_alike() -> None:
    """Let a test draw the same networks and inputs, whichever tests came before it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def exporter_that_reads_its_operators_once() -> Iterator[None]:
    """Let torch.onnx parse the source of its 500 translations once a process: it does so for each export, in a second.

    Each export gets a registry of its own, as it adds to it.
    """
    if "torch" not in sys.modules:
        yield
        return
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    read = functools.cache(ONNXRegistry.from_torchlib)

    def from_torchlib(*arguments: int, **named: int) -> ONNXRegistry:
        registry = copy.copy(read(*arguments, **named))
        registry.functions = {target: list(found) for target, found in registry.functions.items()}
        return registry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(from_torchlib))
        yield


@pytest.fixture(scope="session")
def parity() -> Path:
    """What the originals computed."""
    return REPOSITORY / "tests" / "parity"


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.fixture(scope="session")
def outputs(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """The output folder of one run of the README's first command."""
    folder = tmp_path_factory.mktemp("run")
    run = CommandLine(folder)("+backend=onnxruntime", "+model=rtmpose", f"cache={shared_cache}")
    assert run.returncode == 0, run.stdout + run.stderr
    return folder / "outputs"


@pytest.fixture(scope="session")
def bundle(outputs: Path) -> Path:
    """RTMPose-m for ONNX Runtime, compiled from random weights. Not to be changed."""
    return outputs / "rtmpose" / NAME
